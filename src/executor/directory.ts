/**
 * Where a job works: `<workDir>/<jobId>`, always its latest attempt. The launcher moves a directory that is there
 * already aside, to `<jobId>~1`, `<jobId>~2` and so on, so earlier attempts stay readable and nobody has to know which
 * attempt counted.
 */
import { readdir } from 'node:fs/promises'
import { jobDirectoryName } from '../../machines/domain/dataId.ts'
import type { Inputs } from '../../machines/domain/located.ts'
import type { StartOrder } from '../../machines/ports.ts'

/** Spelled so that no job id can name anything outside the work directory. */
export function jobDirectory(workDir: string, jobId: string): string {
  return `${workDir}/${jobDirectoryName(jobId)}`
}

/** Begins with a dot, which no encoded job id can. */
export function ledgerDirectory(workDir: string): string {
  return `${workDir}/.ledger`
}

/**
 * The highest entry number among the job ids that have a directory here; 0: none. A hundred thousand directories take a
 * tenth of a second.
 */
export async function highestJobIn(workDir: string): Promise<number> {
  const names = await readdir(workDir).catch(() => [])
  return names.reduce((highest, name) => Math.max(highest, Number(JOB_ID.exec(name)?.[1] ?? 0)), 0)
}

// The observing day and the number of the entry that asked for it.
const JOB_ID = /^\d{8}-(\d{6,15})(~|$)/

/**
 * The text of `members.json`, '' for a job that gathers nothing: `{group, members: [{obsid, detector, pipeline, jobId,
 * outcome, input, workDir, datasets: {name: path}, metrics: {name: {value, unit}}}]}`. Paths are absolute; input is
 * null where it cannot be known; pipeline, jobId, outcome and workDir are for a member that was never processed by
 * itself.
 */
export function membersText(order: StartOrder, inputs: Inputs, workDir: string): string {
  if (order.members === null) return ''
  const members = order.members.map(({ dataId, pipeline, jobId, outcome, datasets, metrics }, index) => {
    const directory = jobId === null ? null : jobDirectory(workDir, jobId)
    return {
      obsid: dataId.obsid,
      detector: dataId.detector,
      pipeline,
      jobId,
      outcome,
      input: inputs.members[index] ?? null,
      workDir: directory,
      datasets: Object.fromEntries(datasets.map(({ dataset, path }) => [dataset, `${directory}/${path}`])),
      metrics: Object.fromEntries(metrics.map(({ metric, value, unit }) => [metric, { value, unit }])),
    }
  })
  return JSON.stringify({ group: order.dataId.group, members })
}
