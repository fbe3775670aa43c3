import type { Dataset, ExecutorReport, Metric } from '../../machines/domain/reports.ts'
import type { Process } from './processes.ts'

/** What a process itself wrote into its reports file. */
export interface Said {
  readonly metrics: readonly Metric[]
  readonly datasets: readonly Dataset[]
  readonly verdict: string | null
}

const LINES: ReadonlySet<string> = new Set([
  'executor.metric',
  'executor.dataset',
  'executor.progress',
  'executor.verdict',
  'executor.badReport',
])

export function isLine({ type }: ExecutorReport): boolean {
  return LINES.has(type)
}

/** The lines of its reports file so far. */
export function linesOf(process: Process | undefined): readonly ExecutorReport[] {
  return (process?.words ?? []).filter(isLine)
}

/** What they come to: one value per name, the newest, in the order the names came up. */
export function said(process: Process | undefined): Said {
  const metrics = new Map<string, Metric>()
  const datasets = new Map<string, Dataset>()
  let verdict: string | null = null
  for (const line of linesOf(process)) {
    if (line.type === 'executor.metric') {
      const { metric, value, unit } = line
      metrics.set(metric, { metric, value, unit })
    } else if (line.type === 'executor.dataset') {
      const { dataset, path, mime } = line
      datasets.set(dataset, { dataset, path, mime })
    } else if (line.type === 'executor.verdict') verdict = line.verdict
  }
  return { metrics: [...metrics.values()], datasets: [...datasets.values()], verdict }
}
