/** A finding for people: a Markdown table and what it means. */
import { shown } from '../table.ts'
import type { Finding } from './part.ts'

export function printed({ title, columns, rows, meaning }: Finding): string {
  const lines = rows.map(([name, ...values]) =>
    line([name, ...values.map(value => (value === null || Number.isNaN(value) ? '–' : shown(value)))]),
  )
  return [
    `## ${title}`,
    '',
    line(['', ...columns]),
    `|---|${'---:|'.repeat(columns.length)}`,
    ...lines,
    '',
    meaning,
  ].join('\n')
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
