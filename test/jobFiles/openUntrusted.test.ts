import { spawnSync } from 'node:child_process'
import {
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { openUntrusted, readUntrusted } from '../../src/jobFiles/untrusted.ts'

/*
 * What a job may have put in the place of a file, and what is opened of it. That a whole job does so is
 * untrusted.test.ts.
 */

const HANGS_MS = 10_000

function home(): string {
  const root = mkdtempSync(join(tmpdir(), 'ocps-untrusted-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  writeFileSync(join(root, 'secret'), 'secret')
  mkdirSync(join(root, 'job/sub'), { recursive: true })
  writeFileSync(join(root, 'job/sub/a.txt'), 'abc')
  return join(root, 'job')
}

/** Opens it and says whether it did. */
function opens(directory: string, path: string): boolean {
  const opened = openUntrusted(directory, path)
  if (opened !== null) closeSync(opened.descriptor)
  return opened !== null
}

test('a file below the directory is read', () => {
  const job = home()
  expect(readUntrusted(job, 'sub/a.txt', 0, 100)?.toString()).toBe('abc')
  expect(readUntrusted(job, './sub//a.txt', 1, 100)?.toString()).toBe('bc')
})

test('no link is followed: not the file, not a directory on the way, not the directory itself', () => {
  const job = home()
  symlinkSync('../secret', join(job, 'file'))
  symlinkSync('sub', join(job, 'way'))
  symlinkSync('job', `${job}.link`)
  for (const [directory, path] of [
    [job, 'file'],
    [job, 'way/a.txt'],
    [`${job}.link`, 'sub/a.txt'],
  ] as const)
    expect(opens(directory, path), path).toBe(false)
})

test('no path leads upwards', () => {
  const job = home()
  for (const path of ['../secret', 'sub/../../secret', 'sub/..', '..', '.', ''])
    expect(opens(job, path), path).toBe(false)
})

test('a directory and a device are no files', () => {
  expect(opens(home(), 'sub')).toBe(false)
  expect(opens('/dev', 'null')).toBe(false)
})

test('nobody waits at a FIFO, in the place of the file or of a directory', { timeout: 60_000 }, () => {
  const job = home()
  const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  spawnSync('mkfifo', [join(job, 'fifo')])
  // In a process of its own: who waits at a FIFO hears of no timeout.
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--import', here('../bus/typescriptLoader.mjs'), '--input-type=module', '--eval', LOOK, here('../..'), job],
    { timeout: HANGS_MS, encoding: 'utf8' },
  )
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'null null' })
})

const LOOK = `
const { openUntrusted } = await import(process.argv[1] + '/src/jobFiles/untrusted.ts')
process.stdout.write(openUntrusted(process.argv[2], 'fifo') + ' ' + openUntrusted(process.argv[2], 'fifo/a.txt'))`

test.runIf(process.getuid?.() === 0)('a file of another owner is not the job’s', () => {
  const job = home()
  chownSync(join(job, 'sub/a.txt'), 12_345, -1)
  expect(opens(job, 'sub/a.txt')).toBe(false)
})

test('no more is read than was asked for, from where it was asked', () => {
  const job = home()
  writeFileSync(join(job, 'long'), 'x'.repeat(1_000))
  expect(readUntrusted(job, 'long', 10, 7)).toHaveLength(7)
  expect(readUntrusted(job, 'long', -5, 100)).toHaveLength(5)
  expect(readUntrusted(job, 'long', 2_000, 100)).toHaveLength(0)
  expect(readFileSync(join(job, 'long'))).toHaveLength(1_000)
})

test('a sparse file of a terabyte costs no more than what is asked of it', () => {
  const job = home()
  writeFileSync(join(job, 'huge'), '')
  truncateSync(join(job, 'huge'), 2 ** 40)
  expect(readUntrusted(job, 'huge', 0, 16)).toHaveLength(16)
  expect(readUntrusted(job, 'huge', -16, 16)).toHaveLength(16)
})
