import { type Bus, BusError } from '../bus/port.ts'
import { QUERY_ERRORS, type QueryErrorCode } from '../contract/queryErrors.ts'
import { subjects } from '../contract/subjects.ts'
import { fromBus, nobody } from './acknowledgements.ts'
import { OcpsError, QueryFailed } from './errors.ts'

/** Questions. They change nothing, so they may be asked again at any time. */
export type Ask = <T>(
  query: 'state' | 'jobs' | 'job' | 'group' | 'shelf' | 'history' | 'exposure',
  body: object,
) => Promise<T>

// Answered from memory in milliseconds; a restarting instance needs a second or two.
const QUERY_TIMEOUT_MS = 5_000

/** Rejects with OcpsError NOACK where no instance answers, with QueryFailed where it answers with an error. */
export function createAsk(bus: Bus, instance: string): Ask {
  const to = subjects(instance)
  return async <T>(query: string, body: object) => {
    try {
      const answer = await bus.request(to.query(query), JSON.stringify(body), { timeoutMs: QUERY_TIMEOUT_MS })
      const value: unknown = JSON.parse(new TextDecoder().decode(answer.body))
      const failed = errorIn(value)
      if (failed !== null) throw failed
      return value as T
    } catch (error) {
      if (error instanceof BusError && error.code === 'NO_RESPONDERS') throw nobody(instance, bus.server.url)
      throw fromBus(error)
    }
  }
}

function errorIn(value: unknown): OcpsError | null {
  if (typeof value !== 'object' || value === null || !('error' in value) || typeof value.error !== 'string') return null
  const code = 'code' in value ? value.code : undefined
  return isQueryErrorCode(code)
    ? new QueryFailed({ code, error: value.error })
    : new OcpsError('BAD_ANSWER', `${value.error} (with a code this client does not know: ${JSON.stringify(code)})`)
}

function isQueryErrorCode(code: unknown): code is QueryErrorCode {
  return typeof code === 'string' && Object.hasOwn(QUERY_ERRORS, code)
}
