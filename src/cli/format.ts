import type { DataId } from '../../machines/domain/dataId.ts'
import type { Outcome, Usage } from '../../machines/domain/outcome.ts'
import type { Metric } from '../../machines/domain/reports.ts'
import type { Paint } from './output.ts'

/** How values read on a page: moments in UTC, durations and sizes with their unit, numbers with theirs. */

/** `22:59:05.721`, of a moment in milliseconds since 1970 UTC. */
export function clock(at: number | null): string {
  return at === null ? '            ' : new Date(at).toISOString().slice(11, 23)
}

/** `2026-11-22 22:59:05.721 UTC` */
export function moment(at: number | null | undefined): string {
  return at === null || at === undefined ? '-' : `${new Date(at).toISOString().slice(0, 23).replace('T', ' ')} UTC`
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1_000).toFixed(2)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`
}

/** A number with at most six significant digits, as people compare them. */
export function number(value: Metric['value']): string {
  if (value === null) return 'not measured'
  if (typeof value !== 'number') return value
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)))
}

export function metricText({ metric, value, unit }: Metric): string {
  return `${metric} ${number(value)}${unit === '' ? '' : ` ${unit}`}`
}

/** Control characters, a terminal's orders among them, as a dot: what others wrote must not move the cursor. */
export function plain(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, '·')
}

/** Exposure and detector, or the group a combination is about. */
export function dataText({ obsid, detector, group }: DataId): string {
  if (obsid === null) return `group ${group ?? '-'}`
  return detector === null ? obsid : `${obsid}/${detector}`
}

export function outcomeText(outcome: Outcome, paint: Paint): string {
  const { kind, message, usage } = outcome
  const used = usage ? usedText(usage) : ''
  return `${paint(kind === 'succeeded' ? 'good' : 'bad', kind)}: ${message}${used && ` (${used})`}`
}

function usedText({ wallMs, cpuMs, peakMemoryKiB }: Usage): string {
  return [
    ...(wallMs === null ? [] : [duration(wallMs)]),
    ...(cpuMs === null ? [] : [`${duration(cpuMs)} of CPU`]),
    ...(peakMemoryKiB === null ? [] : [`at most ${Math.round(peakMemoryKiB / 1024)} MiB`]),
  ].join(', ')
}

/** Rows in columns as wide as their widest cell; the last column is left as it is. */
export function table(rows: readonly (readonly string[])[], indent = ''): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  return rows
    .map(
      row => indent + row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  '),
    )
    .join('\n')
}
