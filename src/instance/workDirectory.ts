/**
 * The work directory belongs to one journal at a time: whoever works there takes the jobs it finds for its own and ends
 * those it does not know. Who is active under one journal is decided by the lease and by fencing, so a process that has
 * taken over takes this lock from a frozen one; everyone else is refused while its owner lives.
 */
import { mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Bus } from '../bus/port.ts'
import { streams } from '../contract/subjects.ts'
import { Locked, takeLockFile } from '../lockFile.ts'
import { UserError } from '../userError.ts'

interface User {
  readonly instance: string
  /** Without credentials. */
  readonly server: string
  /** Tells a journal from every other one, at whatever address its server is. */
  readonly journal: string
}

/** Resolves with how to let go. Throws UserError, naming who is there. */
export async function lockWorkDirectory(options: {
  bus: Bus
  instance: string
  workDir: string
}): Promise<() => Promise<void>> {
  const { bus, instance, workDir } = options
  const journal = await identityOfJournal(bus, instance)
  const path = join(workDir, '.lock')
  try {
    await mkdir(workDir, { recursive: true, mode: 0o700 })
    const lock = await takeLockFile<User>(
      path,
      { instance, server: bus.server.url, journal },
      { isOurs: owner => owner.journal === journal },
    )
    return () => lock.release()
  } catch (error) {
    if (error instanceof Locked) throw new UserError(refusal(workDir, (error as Locked<User>).by))
    throw new UserError(
      `the work directory ${workDir} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

function refusal(workDir: string, by: Locked<User>['by']): string {
  const { owner, host = hostname(), since = 'some time', instance = 'another instance', server = 'another server' } = by
  return `the work directory ${workDir} is in use by process ${owner} on ${host} since ${since}, which runs ${instance} with ${server}; stop that one first, or give this one another --data`
}

// A server answers this from memory.
const INFO_MS = 5_000

/** A stream keeps the time it was made at over restarts of its server, and in all its replicas. */
async function identityOfJournal(bus: Bus, instance: string): Promise<string> {
  const { journal } = streams(instance)
  const { body } = await bus.request(`$JS.API.STREAM.INFO.${journal}`, '', { timeoutMs: INFO_MS })
  const { created } = JSON.parse(new TextDecoder().decode(body)) as { created?: string }
  return `${journal} made ${created ?? `at ${bus.server.url}`}`
}
