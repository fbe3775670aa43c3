import { type Flag, loadSettings } from '../settings/load.ts'
import { asOcpsError, connectThrough, defaultIdentity } from './connecting.ts'
import type { Ocps } from './ocps.ts'
import { serversOf } from './servers.ts'

/**
 * What an observing script imports: `ocps/client`. Connects to one instance of OCPS over NATS and gives commands that
 * are executed once, jobs whose result always comes, and events. It decides nothing: what is allowed when is the
 * instance's.
 *
 *     const ocps = await connectOcps({ instance: 'LATISS' })
 *     await ocps.bringTo('ENABLED')
 *     const job = await ocps.processData({ dataId: { obsid: 'AT_O_20261122_000017' }, pipeline: 'quicklook' })
 *     for await (const { metric, value, unit } of job.metrics) console.log(metric, value, unit)
 *     console.log((await job.result).outcome.message)
 *     await ocps.close()
 */
export interface ConnectOptions {
  readonly instance: string
  /**
   * `nats://host:port`; unless given NATS_URL, else the server of an `ocps serve` started in this directory or above.
   */
  readonly url?: string
  /** Who asks, in the journal and the log: printable ASCII without spaces. `user@host` unless given. */
  readonly identity?: string
  /** A NATS credentials file; unless given OCPS_NATS_CREDS. */
  readonly credentialsFile?: string
  /** A file with an nkey seed; unless given OCPS_NATS_NKEY. */
  readonly nkeyFile?: string
  /**
   * Files in PEM form: who signs the server's certificate, and our own certificate where the server asks for one;
   * unless given OCPS_NATS_CA, _CERT and _KEY.
   */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string }
}

/** Throws OcpsError UNREACHABLE, saying what to do. Whether an instance answers is found out by the first question. */
export async function connectOcps(options: ConnectOptions): Promise<Ocps> {
  const { instance, identity = defaultIdentity() } = options
  const { settings } = await loadSettings({ flags: flagsOf(options) }).catch((error: unknown) => {
    throw asOcpsError(error)
  })
  return await connectThrough(serversOf(settings.nats, instance), { instance, identity })
}

function flagsOf({ url, credentialsFile, nkeyFile, tls = {} }: ConnectOptions): Flag[] {
  const given = {
    'nats.servers': ['url', url],
    'nats.credentialsFile': ['credentialsFile', credentialsFile],
    'nats.nkeyFile': ['nkeyFile', nkeyFile],
    'nats.tls.caFile': ['tls.caFile', tls.caFile],
    'nats.tls.certFile': ['tls.certFile', tls.certFile],
    'nats.tls.keyFile': ['tls.keyFile', tls.keyFile],
  } as const
  return Object.entries(given).flatMap(([key, [flag, value]]) => (value === undefined ? [] : [{ key, flag, value }]))
}

export type { SummaryState } from '../../machines/domain/summaryState.ts'
export type { AckBody, GroupResult, GroupState, JobResult } from '../../machines/domain/announcements.ts'
export type { CommandBody, CommandName } from '../contract/commands.ts'
export type { SendOptions } from './acknowledgements.ts'
export type * from '../contract/answers.ts'
export { CommandRefused, OcpsError, QueryFailed, type OcpsErrorCode } from './errors.ts'
export type { OcpsEvent } from './events.ts'
export { deriveGroupId, newGroupId } from './groupIds.ts'
export type { Group } from './groups.ts'
export type { MetricReport, ProgressReport } from './hearing.ts'
export type { ImageInOODS, WaitForImageOptions } from './images.ts'
export type { Job } from './jobs.ts'
export type { CombineBody, Ocps } from './ocps.ts'
