import type { AckBody } from '../../machines/domain/announcements.ts'
import type { QueryError, QueryErrorCode } from '../contract/queryErrors.ts'

/**
 * What can go wrong for a client, each with a code a script can switch on and a sentence a person can act on. A refusal
 * carries the acknowledgement it came with; everything else is about the way there and back.
 */
export type OcpsErrorCode =
  /** No NATS server answers, or none is known. */
  | 'UNREACHABLE'
  /** The server is there, but no instance of this name answered (salobj -301). */
  | 'NOACK'
  /** The time given ran out after the command had been taken in. */
  | 'TIMEOUT'
  /** This client was closed. */
  | 'CLOSED'
  /** What was asked cannot be asked. */
  | 'BAD_REQUEST'
  /** The instance knows no such job, group or query; see QueryFailed. */
  | 'UNKNOWN'
  /** The instance failed while it answered a query; its log says why. */
  | 'INTERNAL'
  /** The image was not ingested, as its event says. */
  | 'INGEST_FAILED'
  /** A command was refused or failed; see CommandRefused. */
  | 'REFUSED'
  /** The answer makes no sense; instance and client are of different versions. */
  | 'BAD_ANSWER'

export class OcpsError extends Error {
  readonly kind: OcpsErrorCode
  constructor(kind: OcpsErrorCode, message: string) {
    super(message)
    this.name = 'OcpsError'
    this.kind = kind
  }

  /**
   * For a refusal the code of the list in machines/domain/refusals.ts or outcome.ts, for a query that failed its own;
   * else the kind.
   */
  get code(): string {
    return this.kind
  }
}

/**
 * A query was answered with an error. `code` is its code in the list of src/contract/queryErrors.ts, e.g. UNKNOWN_JOB.
 */
export class QueryFailed extends OcpsError {
  readonly #code: QueryErrorCode
  constructor({ code, error }: QueryError) {
    super(KIND_OF[code], error)
    this.name = 'QueryFailed'
    this.#code = code
  }

  override get code(): string {
    return this.#code
  }
}

const KIND_OF: Readonly<Record<QueryErrorCode, OcpsErrorCode>> = {
  BAD_REQUEST: 'BAD_REQUEST',
  UNKNOWN_QUERY: 'UNKNOWN',
  UNKNOWN_JOB: 'UNKNOWN',
  UNKNOWN_GROUP: 'UNKNOWN',
  INTERNAL: 'INTERNAL',
}

/** The final acknowledgement was not 303. `code` is its code, e.g. WRONG_STATE; `ack` all of it. */
export class CommandRefused extends OcpsError {
  readonly ack: AckBody
  constructor(command: string, ack: AckBody) {
    super('REFUSED', `${command} was refused (${ack.code ?? ack.ack}): ${ack.result.replace(/^Failed: /, '')}`)
    this.name = 'CommandRefused'
    this.ack = ack
  }

  override get code(): string {
    return this.ack.code ?? String(this.ack.ack)
  }
}
