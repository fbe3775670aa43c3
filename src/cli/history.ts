import type { JobResult } from '../../machines/domain/announcements.ts'
import type { Ocps } from '../client/index.ts'
import type { HistoryFilter } from '../client/history.ts'
import { csv } from './csv.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { dataText, duration, moment, outcomeText, plain, table } from './format.ts'
import type { Output } from './output.ts'

/** Ended jobs as `ocps jobs --all` and `ocps exposure` print them. */
export interface Printing {
  readonly out: Output
  readonly csv: boolean
  readonly limit: number
}

const HEADER =
  'jobId,outcome,code,pipeline,obsid,detector,group,askedBy,attempt,accepted,started,settled,ranSeconds,message'

export async function printHistory(ocps: Ocps, filter: HistoryFilter, how: Printing): Promise<ExitCode> {
  const { out, limit } = how
  const rows: JobResult[] = []
  for await (const job of ocps.history(filter)) {
    if (rows.length === limit) {
      if (!out.json && !how.csv) process.stderr.write(`the newest ${limit} are shown; --limit shows more\n`)
      break
    }
    rows.push(job)
    if (out.json) out.say('', job)
  }
  if (out.json) return EXIT.DONE
  if (how.csv) process.stdout.write(`${HEADER}\r\n${csv(rows.map(csvRow))}`)
  else out.say(rows.length === 0 ? 'no ended job matches' : table(rows.map(job => row(job, out.paint))), rows)
  return EXIT.DONE
}

export function row(job: JobResult, paint: Output['paint']): string[] {
  const { jobId, pipeline, dataId, outcome, times, askedBy } = job
  const ran = times.started === null ? 'never ran' : `ran ${duration(times.settled - times.started)}`
  const who = askedBy === null ? '' : plain(askedBy)
  return [moment(times.settled), jobId, pipeline, dataText(dataId), ran, who, outcomeText(outcome, paint)]
}

function csvRow(job: JobResult): (string | number | null)[] {
  const { jobId, outcome, pipeline, dataId, askedBy, attempt, times } = job
  const { obsid, detector, group } = dataId
  return [
    jobId,
    outcome.kind,
    outcome.code,
    pipeline,
    obsid,
    detector,
    group,
    askedBy,
    attempt,
    stamp(times.accepted),
    stamp(times.started),
    stamp(times.settled),
    times.started === null ? null : (times.settled - times.started) / 1_000,
    plain(outcome.message),
  ]
}

function stamp(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString()
}
