/**
 * Why a command is refused. One list, never reused; README explains each (tested). The sentence travels with the code.
 */
export const REFUSALS = {
  MALFORMED: 'The message is not a valid command: not JSON, an unknown or missing field, a wrong type or value.',
  TOO_LARGE: 'The message is larger than the server or OCPS accepts.',
  UNKNOWN_COMMAND: 'There is no command of this name.',
  ID_REUSED: 'This message id was used before for another command.',
  OVERLOADED: 'More commands are waiting to be written down than OCPS holds; send it again shortly.',
  JOURNAL_FULL: 'The journal has no space left, so nothing new can be accepted; running jobs go on.',
  WRONG_STATE: 'The command is not allowed in the present summary state.',
  NOT_PERMITTED: 'The caller has no role that may send this command.',
  CONFIGURATION_INVALID: 'The configuration that start or reload would apply is missing or wrong; nothing changes.',
  NEEDS_START: 'A change of the configuration that reload cannot apply while work is open; start can.',
  UNKNOWN_PIPELINE: 'The applied configuration has no pipeline of this name.',
  WRONG_SCOPE: 'The pipeline works on other data: a group where an exposure was named, or the reverse.',
  UNKNOWN_VERSION: 'The pipeline does not know this version, or has none to choose from.',
  VALUE_MISSING:
    'The command of the pipeline needs a value that this job has not, such as a detector or a configuration file.',
  OVERRIDE_NOT_ALLOWED: 'The pipeline does not allow this override, configuration file or time limit.',
  QUEUE_FULL:
    'The jobs do not fit: too many are waiting, or the command alone asks for more than the queue ever holds.',
  BUSY: 'In synchronous mode one command is processed at a time, and one is.',
  UNKNOWN_JOB: 'No job of this id is known.',
  NOTHING_TO_RETRY: 'No job that is meant here ended without success lately, or it was retried already.',
  ALREADY_SETTLED: 'The job has ended already.',
  UNKNOWN_GROUP:
    'No member of this group, or of the detector asked for, was ever accepted; name its exposures in members.',
  GROUP_CLOSED: 'The group is closed already; nothing has been added since, and nothing else is asked for.',
} as const

export type RefusalCode = keyof typeof REFUSALS

export interface Refusal {
  readonly code: RefusalCode
  /** What was refused, why, and what to do next. */
  readonly reason: string
}
