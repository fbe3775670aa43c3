import { ACK, type Acknowledgement, type JobResult } from '../../../machines/domain/announcements.ts'
import type { ExecuteResult, JobIdBody, JobResultBody } from '../../contract/execute.ts'
import type { Numbered } from '../../../machines/ports.ts'

/**
 * What the Python OCPS said of a job that was asked for with `execute` (ts_xml OCPS_Events), made from what OCPS says
 * of it anyway. Scripts read `jobId` of the result; the other fields are those of a UWS job that are true here.
 */

/** The event job_id, with the first acknowledgement of its command and no later one; null: there is none to be said. */
export function jobIdOf({ id }: Numbered, { askedAs, body }: Acknowledgement): JobIdBody | null {
  const [jobId] = body.jobIds
  if (askedAs === undefined || body.ack !== ACK.INPROGRESS || jobId === undefined) return null
  // A job has the number of the entry that brought its command; what is promised again later has a later one.
  const seqNum = Number(/-(\d+)/.exec(jobId)?.[1])
  return Number(id.slice(0, id.indexOf('.'))) === seqNum
    ? { event_name: 'cmd_execute', seq_num: seqNum, job_id: jobId }
    : null
}

/**
 * The event job_result; null for a job nobody asked for with execute. exit_code is 0 for success, 255 for an aborted
 * job as the Python OCPS had it, else the pipeline's own, or 1 where it has none.
 */
export function jobResultOf(said: JobResult): JobResultBody | null {
  const { jobId, commandId, askedAs, outcome, verdict, version, askedBy, overrides, configFile, directory } = said
  if (askedAs === undefined) return null
  const { kind, code, message, exitCode, signal, usage } = outcome
  const result: ExecuteResult = {
    jobId,
    runId: commandId,
    phase: kind === 'succeeded' ? 'completed' : kind === 'aborted' ? 'aborted' : 'error',
    executionDuration: (usage?.wallMs ?? 0) / 1000,
    errorSummary: { message: kind === 'succeeded' ? '' : message },
    outcome: { kind, code, exitCode, signal },
    verdict,
    version,
    askedBy,
    overrides,
    configFile,
    directory,
  }
  // A pipeline that ends with 0 when it is stopped has not succeeded.
  const exit_code = kind === 'succeeded' ? 0 : kind === 'aborted' ? ABORTED : exitCode || 1
  return { job_id: jobId, exit_code, result: JSON.stringify(result) }
}

const ABORTED = 255

/**
 * The id of job_result in the stream. It is said just before its jobResult and counts as the one before that: whoever
 * dies between the two says both again, this one under the same id.
 */
export function idOfJobResult(id: string): string {
  const [entry, place] = id.split('.').map(Number)
  return `${entry}.${(place ?? 0) - 1}.job_result`
}
