import { cp, mkdtemp, open, readdir, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from '../../src/bus/embedded.ts'
import { connectNats } from '../../src/bus/nats.ts'
import type { Bus } from '../../src/bus/port.ts'

/*
 * A server on a store that a test damages while it is away, as a power cut, a bad disk or an operator does. What it
 * makes is gone when the test is over.
 */
export interface Store {
  readonly dir: string
  /** Starts the server; the one before must have been stopped. */
  start(): Promise<{ bus: Bus; server: EmbeddedServer }>
  stop(): Promise<void>
}

export async function makeStore(): Promise<Store> {
  const dir = await mkdtemp(join(tmpdir(), 'ocps-store-'))
  let running: { bus: Bus; server: EmbeddedServer } | null = null
  const stop = async () => {
    await running?.bus.close()
    await running?.server.stop()
    running = null
  }
  onTestFinished(async () => {
    await stop()
    await rm(dir, { recursive: true, force: true })
  })
  return {
    dir,
    async start() {
      const server = await startEmbeddedServer({ storeDir: dir })
      try {
        running = { server, bus: await connectNats({ url: server.url, name: 'test' }) }
      } catch (error) {
        await server.stop()
        throw error
      }
      return running
    },
    stop,
  }
}

export type Damage = 'zeroed tail' | 'zeroed middle' | 'truncated' | 'flipped byte'

/** Damages the file that holds a stream's messages. The stream must be small enough for one. */
export async function damage(dir: string, stream: string, how: Damage): Promise<void> {
  const folder = await folderOf(dir, stream)
  const path = join(folder, 'msgs', '1.blk')
  const { size } = await stat(path)
  const tail = Math.floor(size / 5)
  if (how === 'truncated') return await truncate(path, size - tail)
  const middle = Math.floor(size / 2)
  const [bytes, at] = {
    'zeroed tail': [Buffer.alloc(tail), size - tail],
    'zeroed middle': [Buffer.alloc(Math.floor(tail / 4)), middle],
    'flipped byte': [Buffer.from('~'), middle],
  }[how] as [Buffer, number]
  const file = await open(path, 'r+')
  try {
    await file.write(bytes, 0, bytes.length, at)
  } finally {
    await file.close()
  }
}

/** Keeps a copy of the whole store; what it returns puts it back. The server must be stopped both times. */
export async function copyOf(dir: string): Promise<() => Promise<void>> {
  const copy = `${dir}-copy`
  await cp(dir, copy, { recursive: true })
  onTestFinished(async () => await rm(copy, { recursive: true, force: true }))
  return async () => {
    await rm(dir, { recursive: true })
    await cp(copy, dir, { recursive: true })
  }
}

async function folderOf(dir: string, stream: string): Promise<string> {
  const found = (await readdir(dir, { recursive: true })).find(name => name.endsWith(join('streams', stream)))
  if (found === undefined) throw new Error(`there is no stream ${stream} under ${dir}`)
  return join(dir, found)
}
