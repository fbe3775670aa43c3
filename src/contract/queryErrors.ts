import { OUTCOME_CODES } from '../../machines/domain/outcome.ts'
import { REFUSALS } from '../../machines/domain/refusals.ts'

/**
 * Why a query has no answer. One list of codes; the README explains each (tested). A code that a refusal or an outcome
 * has as well says the same there. The sentence travels with the code.
 */
export const QUERY_ERRORS = {
  BAD_REQUEST: 'The query is not valid: not JSON, an unknown or missing field, a wrong type or value.',
  UNKNOWN_QUERY: 'There is no query of this name.',
  UNKNOWN_JOB: REFUSALS.UNKNOWN_JOB,
  UNKNOWN_GROUP: REFUSALS.UNKNOWN_GROUP,
  INTERNAL: OUTCOME_CODES.INTERNAL,
} as const

export type QueryErrorCode = keyof typeof QUERY_ERRORS

/** What is answered instead. */
export interface QueryError {
  readonly code: QueryErrorCode
  /** What could not be answered and why, for a person. */
  readonly error: string
}
