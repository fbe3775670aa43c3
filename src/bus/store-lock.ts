/**
 * One embedded server per store directory. The lock names who started the server and the server itself, so that a
 * server that outlived its owner is ended before the next starts.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Locked, takeLockFile } from '../lockFile.ts'
import { isAlivePid } from '../processes.ts'
import { BusError } from './port.ts'

export interface StoreLock {
  /** Says which server runs on the store. */
  serverIs(pid: number): Promise<void>
  release(): Promise<void>
}

interface Facts {
  readonly server: number
}

/** A server whose owner died is ended by its guard within a second; a large store takes a few to close. */
const orphanMs = 10_000
const pollMs = 25

const run = promisify(execFile)

/** The store must be there. Throws BusError UNREACHABLE when another living process uses it. */
export async function lockStore(storeDir: string, configFile: string): Promise<StoreLock> {
  const lock = await takeLockFile<Facts>(
    join(storeDir, 'ocps.lock'),
    { server: 0 },
    { beforeTaking: ({ server = 0 }) => endOrphan(server, configFile) },
  ).catch((error: unknown) => {
    if (!(error instanceof Locked)) throw error
    const { owner, server, host } = (error as Locked<Facts>).by
    throw new BusError(
      'UNREACHABLE',
      `The store ${storeDir} is in use by process ${owner}${host === undefined ? '' : ` on ${host}`} (its nats-server is process ${server ?? 'unknown'}); stop that OCPS first or choose another store directory.`,
    )
  })
  return { serverIs: pid => lock.say({ server: pid }), release: () => lock.release() }
}

async function endOrphan(server: number, configFile: string): Promise<void> {
  if (server <= 0 || !(await commandLineOf(server)).includes(configFile)) return
  const deadline = performance.now() + orphanMs
  while (isAlivePid(server) && performance.now() < deadline) await delay(pollMs)
  if (isAlivePid(server)) process.kill(server, 'SIGKILL')
}

async function commandLineOf(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
    return (await run('ps', ['-o', 'args=', '-p', String(pid)])).stdout
  } catch {
    return ''
  }
}
