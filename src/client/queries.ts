import { type Bus, BusError } from '../bus/port.ts'
import { subjects } from '../contract/subjects.ts'
import { fromBus, nobody } from './acknowledgements.ts'
import { OcpsError } from './errors.ts'

/** Questions about the present. They change nothing, so they may be asked again at any time. */
export type Ask = <T>(query: 'state' | 'jobs' | 'job' | 'group' | 'shelf', body: object) => Promise<T>

// Answered from memory in milliseconds; a restarting instance needs a second or two.
const QUERY_TIMEOUT_MS = 5_000

/** Rejects with OcpsError NOACK where no instance answers, UNKNOWN for a job or group that is not known. */
export function createAsk(bus: Bus, instance: string): Ask {
  const to = subjects(instance)
  return async <T>(query: string, body: object) => {
    try {
      const answer = await bus.request(to.query(query), JSON.stringify(body), { timeoutMs: QUERY_TIMEOUT_MS })
      const value: unknown = JSON.parse(new TextDecoder().decode(answer.body))
      const error = errorIn(value)
      if (error !== null) throw new OcpsError(/^no (job|group) /.test(error) ? 'UNKNOWN' : 'BAD_REQUEST', error)
      return value as T
    } catch (error) {
      if (error instanceof BusError && error.code === 'NO_RESPONDERS') throw nobody(instance, bus.server.url)
      throw fromBus(error)
    }
  }
}

function errorIn(value: unknown): string | null {
  return typeof value === 'object' && value !== null && 'error' in value && typeof value.error === 'string'
    ? value.error
    : null
}
