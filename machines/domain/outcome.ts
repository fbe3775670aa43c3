/** How a job ended. One per job, true, and written once: the first reason wins. */
export type OutcomeKind = 'succeeded' | 'failed' | 'timedOut' | 'aborted' | 'lost' | 'skipped'

/** Why, where the kind alone does not say. One list, never reused; README explains each (tested). */
export const OUTCOME_CODES = {
  OK: 'The pipeline ended with exit code 0.',
  EXIT_CODE: 'The pipeline ended by itself with an exit code other than 0.',
  SIGNAL: 'The pipeline was ended by a signal that OCPS did not send.',
  TIME_LIMIT: 'The job ran longer than its time limit and was stopped.',
  ABORTED: 'Someone asked to stop the job.',
  PROGRAM_NOT_FOUND: 'The pipeline names a program that does not exist.',
  NOT_EXECUTABLE: 'The pipeline names a file that may not be executed.',
  START_FAILED: 'The process could not be started for another reason, named in the message.',
  WORK_DIR_FULL: 'There is no space left for the job in the work directory.',
  LOST: 'The process was running when OCPS went away, and nothing tells how it ended.',
  PREREQUISITE_FAILED: 'A job this one waits for ended without the success it requires.',
  DATA_NOT_READY: 'The data were not there, and the job was told not to run without them.',
  GROUP_FAILED: 'The group could not be combined under its policy.',
  INTERNAL: 'OCPS itself broke while it handled this; see errorCode and its log.',
} as const

export type OutcomeCode = keyof typeof OUTCOME_CODES

export interface Outcome {
  readonly kind: OutcomeKind
  readonly code: OutcomeCode
  /** What happened, to what, and what to do next; one sentence for a person. */
  readonly message: string
  readonly exitCode: number | null
  readonly signal: string | null
  readonly usage: Usage | null
}

/**
 * What a process used, and the proof that none of its group is left. Null: its runner cannot tell; where it runs on
 * this machine all is known.
 */
export interface Usage {
  /** Start to end, milliseconds. */
  readonly wallMs: number | null
  /** User plus system time of the process and the children it waited for, milliseconds. */
  readonly cpuMs: number | null
  /** Largest resident set of one process of the job, KiB. */
  readonly peakMemoryKiB: number | null
  /** Bytes written to stdout and to stderr, before they were cut. */
  readonly stdoutBytes: number | null
  readonly stderrBytes: number | null
  /** The signal we had to use, if any: null, SIGTERM or SIGKILL. */
  readonly stoppedBy: 'SIGTERM' | 'SIGKILL' | null
  /** Processes of the job's group found alive after its end (always 0 unless the system refuses to kill). */
  readonly survivors: number | null
}
