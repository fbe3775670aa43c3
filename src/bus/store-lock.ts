/**
 * One embedded server per store directory. The lock names who started the server and the server itself, so that a lock left by a crash
 * is told apart from one in use, and a server that outlived its owner is ended before the next starts.
 */
import { readFileSync } from 'node:fs'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { BusError } from './port.ts'

export interface StoreLock {
  /** Says which server runs on the store. */
  serverIs(pid: number): Promise<void>
  release(): Promise<void>
}

/** A server whose owner died is ended by its guard within a second; a large store takes a few to close. */
const orphanMs = 10_000
const pollMs = 25

const run = promisify(execFile)

/** Throws BusError UNREACHABLE when another living process uses the store. */
export async function lockStore(storeDir: string, configFile: string): Promise<StoreLock> {
  await mkdir(storeDir, { recursive: true })
  const path = join(storeDir, 'ocps.lock')
  const mine = { owner: process.pid, server: 0 }
  for (let attempt = 0; ; attempt += 1) {
    try {
      const file = await open(path, 'wx')
      await file.writeFile(JSON.stringify(mine))
      await file.close()
      break
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST') || attempt > 0) throw error
      await clear(path, storeDir, configFile)
    }
  }
  return {
    serverIs: async pid => await writeFile(path, JSON.stringify({ ...mine, server: pid })),
    release: async () => await rm(path, { force: true }),
  }
}

async function clear(path: string, storeDir: string, configFile: string): Promise<void> {
  const { owner, server } = readLock(await readFile(path, 'utf8'))
  const serverRuns = server > 0 && (await commandLineOf(server)).includes(configFile)
  const starting = server === 0 && isAlive(owner)
  if (isAlive(owner) && (serverRuns || starting)) {
    throw new BusError(
      'UNREACHABLE',
      `The store ${storeDir} is in use by process ${owner} (its nats-server is process ${server}); stop that OCPS first or choose another store directory.`,
    )
  }
  if (serverRuns) await endOrphan(server)
  await rm(path, { force: true })
}

async function endOrphan(server: number): Promise<void> {
  const deadline = performance.now() + orphanMs
  while (isAlive(server) && performance.now() < deadline) await delay(pollMs)
  if (isAlive(server)) process.kill(server, 'SIGKILL')
}

function readLock(text: string): { owner: number; server: number } {
  try {
    const lock: unknown = JSON.parse(text)
    if (typeof lock === 'object' && lock !== null && 'owner' in lock && 'server' in lock) {
      return { owner: Number(lock.owner), server: Number(lock.server) }
    }
  } catch {
    // Half written by a process that died: nobody's.
  }
  return { owner: 0, server: 0 }
}

/** A process that has ended and waits to be collected counts as gone: it holds no files. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  if (process.platform !== 'linux') return true
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function commandLineOf(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
    return (await run('ps', ['-o', 'args=', '-p', String(pid)])).stdout
  } catch {
    return ''
  }
}
