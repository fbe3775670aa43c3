/**
 * What a person is told when a job did not start, and what is reported when it ended; as functions of what the launcher
 * said. Decides nothing about success: that is the job machine's.
 */
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import { neverBegan } from '../../machines/domain/capacity.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import { printable } from '../jobFiles/printable.ts'
import { readUntrusted } from '../jobFiles/untrusted.ts'
import type { Ending } from './protocol.ts'

type StartFailed = Extract<ExecutorReport, { type: 'executor.startFailed' }>
type Exited = Extract<ExecutorReport, { type: 'executor.exited' }>

/** Bytes of stderr that go into the message of a failure: about 25 lines, the last ones of a Python traceback. */
const STDERR_TAIL_BYTES = 2_048

const { errno } = constants
const FULL = [errno.ENOSPC, errno.EDQUOT]
const NOT_FOUND = [errno.ENOENT, errno.ENOTDIR]
const NOT_EXECUTABLE = [errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EISDIR, errno.ELOOP]

/** What was to be started. */
interface Started {
  readonly program: string
  readonly pipeline: string
  readonly directory: string
  /** The pool whose runner names the program; null: the pipeline does. */
  readonly runnerOf: string | null
}

export function startFailure(
  { errno, where }: { readonly errno: number; readonly where: string },
  { program, pipeline, directory, runnerOf }: Started,
): Pick<StartFailed, 'code' | 'reason'> {
  const name = getSystemErrorName(-errno)
  if (where === 'exec' && NOT_FOUND.includes(errno))
    return {
      code: 'PROGRAM_NOT_FOUND',
      reason: existsSync(program)
        ? `Pipeline ${pipeline}: the interpreter that the first line of ${program} names does not exist.`
        : `Pipeline ${pipeline}: the program ${program} does not exist; correct ${runnerOf === null ? 'the command' : `the runner of pool ${runnerOf}`} or install it.`,
    }
  if (where === 'exec' && NOT_EXECUTABLE.includes(errno))
    return {
      code: 'NOT_EXECUTABLE',
      reason: `Pipeline ${pipeline}: ${program} may not be executed (${name}); make it an executable program.`,
    }
  if (where !== 'exec' && FULL.includes(errno))
    return {
      code: 'WORK_DIR_FULL',
      reason: `No space is left for ${directory} (${name} at ${where}); make room there.`,
    }
  if (where === 'waiting') return neverBegan(pipeline)
  return {
    code: 'START_FAILED',
    reason: `Pipeline ${pipeline}: ${where} failed for ${directory} (${name}).`,
  }
}

/** `stoppedBy`: a signal we sent that the launcher does not know of. */
export function exited(
  job: Pick<Exited, 'jobId' | 'attempt'>,
  ending: Ending,
  directory: string,
  stoppedBy: Ending['stoppedBy'],
): Exited {
  const { exitCode, signal, ...usage } = ending
  return {
    type: 'executor.exited',
    ...job,
    exitCode,
    signal,
    usage: { ...usage, stoppedBy: stoppedBy === 'SIGKILL' ? stoppedBy : (ending.stoppedBy ?? stoppedBy) },
    stderrTail: ending.stderrBytes > 0 ? tail(directory) : '',
  }
}

/** The last words of a job as plain text; '' where the job left no regular file under that name. */
function tail(directory: string): string {
  const bytes = readUntrusted(directory, 'stderr.log', -STDERR_TAIL_BYTES, STDERR_TAIL_BYTES)
  // A character cut in two at the beginning would read as �.
  return printable((bytes?.toString('utf8') ?? '').replace(bytes?.length === STDERR_TAIL_BYTES ? /^�+/u : '', ''))
}
