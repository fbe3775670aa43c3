/**
 * What the NATS server in use promises about a command that was accepted, and whether it is fit to be used at all. Only
 * a server of our own is known to write through; of another one that is what the operator states, since no client can
 * ask for it.
 */
import { hostname } from 'node:os'
import type { EmbeddedServer, Survives } from '../bus/embedded.ts'
import type { ServerFacts } from '../bus/port.ts'
import { atLeast } from '../bus/server-binary.ts'
import { syncAlwaysSince } from '../bus/server-process.ts'
import type { Log } from '../log.ts'
import { UserError } from '../userError.ts'

export interface ServerPromise {
  /** In words: power-safe, process-crash-safe, or as the server is configured. */
  readonly promise: string
  /** What an accepted command survives for certain. */
  readonly survives: Survives
  readonly serverVersion: string
}

/**
 * `stated` is what was asked of a server of our own, and what another one is said to be configured for; null: nothing.
 */
export function promiseOf(
  own: EmbeddedServer | null,
  { version }: ServerFacts,
  stated: Survives | null,
): ServerPromise {
  if (own !== null)
    return {
      promise: own.promise,
      survives: own.promise === 'power-safe' ? 'power' : 'process',
      serverVersion: version,
    }
  if (!atLeast(version, syncAlwaysSince) || stated === 'process')
    return { promise: 'process-crash-safe', survives: 'process', serverVersion: version }
  return stated === 'power'
    ? { promise: 'power-safe', survives: 'power', serverVersion: version }
    : { promise: 'as the server is configured', survives: 'process', serverVersion: version }
}

/**
 * Says that a server is old, and refuses one that other machines reach, or that cannot keep what was asked for. Throws
 * UserError.
 */
export function checkServer(
  { url, version, isLoopbackOnly }: ServerFacts,
  { stated, allowOld, log }: { stated: Survives | null; allowOld: boolean; log: Log },
): void {
  if (atLeast(version, syncAlwaysSince)) return
  const old = `nats-server ${version} at ${url} is older than ${syncAlwaysSince}`
  if (stated === 'power')
    throw new UserError(
      `${old} and cannot write every command to disk before it is accepted; use a newer one, or --promise process`,
    )
  if (!isLoopbackOnly && !allowOld)
    throw new UserError(
      `${old} and listens on more than loopback of ${hostname()}: whoever may publish to it can remove its streams (CVE-2025-30215); use a newer one, let it listen on 127.0.0.1 only, or say --allow-old-server`,
    )
  log.warn(
    { url, version },
    `${old}: what it has confirmed may be lost with the power, and a full disk hangs it until it is started again; ${syncAlwaysSince} or later does neither.`,
  )
}
