import { CommanderError } from 'commander'
import { BusError } from '../bus/port.ts'
import { OcpsError, type OcpsErrorCode } from '../client/errors.ts'
import { JournalError } from '../journal/port.ts'
import { UserError } from '../userError.ts'

/**
 * What a script can tell from how `ocps` ended. One list, shown in the help; the sentence is for people, on standard
 * error.
 */
export const EXIT = {
  DONE: 0,
  FAILED: 1,
  USAGE: 2,
  REFUSED: 3,
  NO_ANSWER: 4,
  TIMED_OUT: 5,
  INTERRUPTED: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  the command failed, or with --wait a job or group did not succeed
  2  a mistake in what was asked: usage, configuration, an id nobody knows
  3  refused by the instance
  4  no server, or no instance of this name, answers
  5  timed out waiting`

const OF_KIND: Readonly<Record<OcpsErrorCode, ExitCode>> = {
  UNREACHABLE: EXIT.NO_ANSWER,
  NOACK: EXIT.NO_ANSWER,
  TIMEOUT: EXIT.TIMED_OUT,
  CLOSED: EXIT.FAILED,
  BAD_REQUEST: EXIT.USAGE,
  UNKNOWN: EXIT.USAGE,
  INTERNAL: EXIT.FAILED,
  INGEST_FAILED: EXIT.FAILED,
  REFUSED: EXIT.REFUSED,
  BAD_ANSWER: EXIT.FAILED,
}

export interface Ending {
  readonly exitCode: number
  readonly code: string
  readonly sentence: string
  /** commander says its own. */
  readonly said: boolean
}

/** How to end after an error. */
export function endingOf(error: unknown): Ending {
  if (error instanceof CommanderError) {
    const exitCode = error.exitCode === 0 ? EXIT.DONE : EXIT.USAGE
    return { exitCode, code: 'USAGE', sentence: error.message.replace(/^error: /, ''), said: true }
  }
  if (error instanceof OcpsError) return ending(OF_KIND[error.kind], error.code, error.message)
  if (error instanceof UserError) return ending(EXIT.USAGE, 'USAGE', error.message)
  if (error instanceof BusError)
    return ending(error.code === 'UNREACHABLE' ? EXIT.NO_ANSWER : EXIT.FAILED, error.code, error.message)
  if (error instanceof JournalError) return ending(EXIT.FAILED, `JOURNAL_${error.code}`, error.message)
  const message = error instanceof Error ? error.message : String(error)
  const debugging = (process.env['OCPS_DEBUG'] ?? '') !== ''
  const detail = debugging && error instanceof Error ? `\n${error.stack}` : '; set OCPS_DEBUG=1 and repeat to see where'
  return ending(EXIT.FAILED, 'UNEXPECTED', `unexpected: ${message.split('\n')[0]}${detail}`)
}

function ending(exitCode: ExitCode, code: string, sentence: string): Ending {
  return { exitCode, code, sentence, said: false }
}
