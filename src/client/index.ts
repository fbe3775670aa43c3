import { hostname, userInfo } from 'node:os'
import { connectNats } from '../bus/nats.ts'
import { INSTANCE_PATTERN } from '../contract/subjects.ts'
import { fromBus } from './acknowledgements.ts'
import { OcpsError } from './errors.ts'
import { createOcps, type Ocps } from './ocps.ts'
import { findUrlNote, withNotedToken } from './urlFile.ts'

/**
 * What an observing script imports: `ocps/client`. Connects to one instance of OCPS over NATS and gives commands that are executed once,
 * jobs whose result always comes, and events. It decides nothing: what is allowed when is the instance's.
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
  /** `nats://host:port`; unless given NATS_URL, else the server of an `ocps serve` started in this directory or above. */
  readonly url?: string
  /** Who asks, in the journal and the log: printable ASCII without spaces. `user@host` unless given. */
  readonly identity?: string
}

/** Throws OcpsError UNREACHABLE, saying what to do. Whether an instance answers is found out by the first question. */
export async function connectOcps({ instance, url, identity = defaultIdentity() }: ConnectOptions): Promise<Ocps> {
  if (!INSTANCE_PATTERN.test(instance))
    throw new OcpsError(
      'BAD_REQUEST',
      `the instance name ${JSON.stringify(instance)} must be 1 to 32 letters, digits, _ or -`,
    )
  if (!/^[\x21-\x7E]{1,128}$/.test(identity))
    throw new OcpsError('BAD_REQUEST', 'the identity must be 1 to 128 printable ASCII characters without spaces')
  const server = url === undefined ? serverOf(instance) : named(url)
  try {
    const bus = await connectNats({ url: server.url, name: `ocps-client.${identity}` })
    return createOcps({ bus, instance, identity })
  } catch (error) {
    const known = fromBus(error)
    throw known instanceof OcpsError ? new OcpsError(known.kind, known.message + server.hint) : known
  }
}

/** `user@host`, as salobj identifies people. */
export function defaultIdentity(): string {
  const name = `${userName()}@${hostname()}`.replaceAll(/[^\x21-\x7E]/g, '_')
  return name.slice(0, 128)
}

function serverOf(instance: string): { readonly url: string; readonly hint: string } {
  const fromEnvironment = process.env['NATS_URL']
  if (fromEnvironment !== undefined && fromEnvironment !== '') return named(fromEnvironment)
  const note = findUrlNote(instance)
  if (note)
    return {
      url: note.url,
      hint: ` This address is from ${note.path}, left by process ${note.pid}; is that still running? Credentials are not kept there: a server that asks for some is named in NATS_URL.`,
    }
  throw new OcpsError(
    'UNREACHABLE',
    `no server is known for ${instance}: set NATS_URL, name the server, or start one here with "ocps serve --instance ${instance}"`,
  )
}

function named(url: string): { readonly url: string; readonly hint: string } {
  try {
    return { url: withNotedToken(url), hint: '' }
  } catch (error) {
    throw fromBus(error)
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container's user may have no name.
    return `uid${process.getuid?.() ?? 0}`
  }
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
