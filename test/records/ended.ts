import type { JobResult } from '../../machines/domain/announcements.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'

interface Facts {
  readonly settled: number
  readonly obsid?: string
  readonly group?: string
  readonly pipeline?: string
  readonly outcome?: OutcomeKind
  readonly askedBy?: string
  /** null: it never ran. */
  readonly ranMs?: number | null
}

/** An ended job as it is announced. */
export function aJobResult(
  jobId: string,
  { settled, obsid = 'O', group, pipeline = 'quicklook', outcome = 'succeeded', askedBy, ranMs = 1 }: Facts,
): JobResult {
  return {
    jobId,
    dataId: { instrument: 'LATISS', obsid, group: group ?? null, detector: null },
    pipeline,
    version: '',
    commandId: `m-${jobId}`,
    attempt: 1,
    fellBackFrom: [],
    retryOf: null,
    askedBy: askedBy ?? null,
    overrides: {},
    configFile: null,
    directory: jobId,
    outcome: {
      kind: outcome,
      code: outcome === 'succeeded' ? 'OK' : 'EXIT_CODE',
      message: `${pipeline} ${outcome}`,
      exitCode: outcome === 'succeeded' ? 0 : 7,
      signal: null,
      usage: null,
    },
    metrics: [],
    datasets: [],
    verdict: null,
    times: { accepted: 0, queued: 0, started: ranMs === null ? null : settled - ranMs, settled },
  }
}
