// Small things a terminal shows: bars, padding, colours. Widths count characters as a terminal does for the ones used
// here; colour is put around text that has its final width.

export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly busy: (text: string) => string
  readonly name: (text: string) => string
}

const sgr =
  (code: string) =>
  (text: string): string =>
    text === '' ? '' : `\u001b[${code}m${text}\u001b[0m`

/** The terminal's own sixteen colours, so that they fit its theme. */
export const colours: Paint = {
  bold: sgr('1'),
  dim: sgr('2'),
  good: sgr('32'),
  bad: sgr('1;31'),
  busy: sgr('33'),
  name: sgr('36'),
}

const same = (text: string): string => text
export const plain: Paint = { bold: same, dim: same, good: same, bad: same, busy: same, name: same }

/** Eighths of a cell, so that a bar moves smoothly. */
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of `width` cells, filled by `fraction` 0…1; the rest are light dots. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, fraction)) * width * 8)
  const part = EIGHTHS[eighths % 8] ?? ''
  return ('█'.repeat(Math.floor(eighths / 8)) + part).padEnd(width, '·')
}

/** As wide as asked: cut with … or filled with spaces. */
export function left(text: string, width: number): string {
  return cut(text, width).padEnd(width)
}

export function right(text: string, width: number): string {
  return cut(text, width).padStart(width)
}

export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

/** A number with its unit; nothing where there is none yet. */
export function quantity(value: number | null, digits: number, unit: string): string {
  return value === null ? '' : `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}
