import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'

/** Folders for recordings, removed after each test. */
const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

export async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ocps-replay-'))
  folders.push(folder)
  return folder
}
