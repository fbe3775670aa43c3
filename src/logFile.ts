import pino from 'pino'
import { UserError } from './userError.ts'

/**
 * Where the lines of the log go: a file, or a file descriptor such as that of standard error. A log that cannot be
 * written (no space, its directory is gone) never stops OCPS: the last lines are kept and written when it can be again,
 * and the events logMessage are published in any case.
 */
export interface LogFile {
  readonly stream: pino.DestinationStream
  /** Opens the file by its name again, after it was moved away (logrotate). */
  reopen(): void
}

// Half a day of an instance's lines, while its disk is full.
const KEPT_BYTES_MAX = 1_000_000

/** @param complain told once, whenever the log begins to fail */
export function openLogFile(to: string | number, complain: (sentence: string) => void): LogFile {
  let isFailing = false
  const stream = open(to)
  stream.on('error', (error: unknown) => {
    if (!isFailing)
      complain(`the log ${to} cannot be opened or written: ${textOf(error)}; its lines wait, or go to the old file`)
    isFailing = true
  })
  stream.on('write', () => {
    isFailing = false
  })
  return {
    stream,
    reopen() {
      if (typeof to === 'number') return
      try {
        stream.reopen()
      } catch {
        // The stream tells it as an error, too; until it can be opened again the old file is written on.
      }
    },
  }
}

function open(to: string | number) {
  try {
    return pino.destination({ dest: to, sync: true, append: true, mkdir: true, mode: 0o600, maxLength: KEPT_BYTES_MAX })
  } catch (error) {
    throw new UserError(`the log ${to} cannot be opened: ${textOf(error)}`)
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
