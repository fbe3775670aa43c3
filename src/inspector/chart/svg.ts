import type { Layout, PlacedArrow, PlacedState, Point } from './layout.ts'
import { PILL_PADDING, ROW_PADDING, TITLE_HEIGHT } from './elkGraph.ts'
import { style } from './style.ts'
import { LINE_HEIGHT, type Block, type Span } from './text.ts'

/*
 * A laid-out chart as one SVG document. It can stand alone or in a page; a page lights it by toggling `is-active` on
 * [data-state] and `is-taken` on [data-edge], nothing is laid out again. Everything that comes from a machine is
 * escaped.
 */

export interface Lit {
  /** State ids. */
  readonly active: ReadonlySet<string>
  /** Edge ids. */
  readonly taken: ReadonlySet<string>
}

export function svgOf(
  id: string,
  { width, height, states, arrows }: Layout,
  title: string,
  text: string,
  lit: Lit,
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="ocps-chart" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${escape(id)}-title ${escape(id)}-desc">`,
    `<title id="${escape(id)}-title">${escape(title)}</title>`,
    `<desc id="${escape(id)}-desc">${escape(text)}</desc>`,
    `<style>${style}</style>`,
    ...states.map(state => stateOf(state, lit)),
    ...arrows.map(arrow => arrowOf(arrow, lit)),
    '</svg>',
    '',
  ].join('\n')
}

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
}

function stateOf(placed: PlacedState, lit: Lit): string {
  const { state, x, y, width, height } = placed
  const { id, name, kind } = state
  const middle = { x: round(x + width / 2), y: round(y + height / 2) }
  const title = (text: string) =>
    `<text class="title" x="${middle.x}" y="${round(middle.y + 4.5)}" text-anchor="middle">${escape(text)}</text>`
  if (kind === 'initial') return `<circle class="initial" cx="${middle.x}" cy="${middle.y}" r="${width / 2}"/>`
  if (kind === 'anywhere')
    return `<g class="anywhere"><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${height / 2}"/>${title(name)}</g>`
  const active = lit.active.has(id) ? ' is-active' : ''
  if (kind === 'history')
    return `<g class="history${active}" data-state="${escape(id)}"><circle cx="${middle.x}" cy="${middle.y}" r="${width / 2 - 1}"/>${title('H')}</g>`
  return `<g class="state ${state.parent === null ? 'frame' : kind}${active}" data-state="${escape(id)}">${boxOf(placed, lit)}</g>`
}

function boxOf({ state: { name, kind }, x, y, width, height, rows }: PlacedState, lit: Lit): string {
  const box = `<rect class="box" x="${x}" y="${y}" width="${width}" height="${height}" rx="8"/>`
  const inner = `<rect class="inner" x="${round(x + 3)}" y="${round(y + 3)}" width="${round(width - 6)}" height="${round(height - 6)}" rx="5.5"/>`
  const title = `<text class="title" x="${round(x + ROW_PADDING)}" y="${round(y + 19)}">${escape(name)}</text>`
  const rule = `<path class="rule" d="M${round(x + 1)} ${round(y + TITLE_HEIGHT)}H${round(x + width - 1)}"/>`
  const text = `${rule}${textOf(rows, round(x + ROW_PADDING), y + TITLE_HEIGHT + 5, lit)}`
  return `${box}${kind === 'final' ? inner : ''}${title}${rows.height === 0 ? '' : text}`
}

function textOf({ lines }: Block, x: number, y: number, lit: Lit): string {
  const text = lines.map(
    (line, index) =>
      `<text x="${x}" y="${round(y + index * LINE_HEIGHT + 12)}" xml:space="preserve">${line.map(span => spanOf(span, lit)).join('')}</text>`,
  )
  return text.join('')
}

function spanOf({ text, style: name, edge }: Span, lit: Lit): string {
  const taken = edge !== null && lit.taken.has(edge) ? ' is-taken' : ''
  const data = edge === null ? '' : ` data-edge="${escape(edge)}"`
  return `<tspan class="${name}${taken}"${data}>${escape(text)}</tspan>`
}

/** The line and its label together, so that a style can light both for the one transition in it that was taken. */
function arrowOf({ arrow, points, label }: PlacedArrow, lit: Lit): string {
  const taken = arrow.labels.some(({ edge }) => edge !== null && lit.taken.has(edge)) ? ' is-taken' : ''
  const line = `<path class="line" d="${pathOf(points)}"/><path class="head" d="${headOf(points)}"/>`
  return `<g class="arrow to-${arrow.kind}${taken}">${line}${label ? pillOf(label, lit) : ''}</g>`
}

function pillOf({ x, y, width, height, block }: NonNullable<PlacedArrow['label']>, lit: Lit): string {
  const box = `<rect class="pill" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`
  return `${box}${textOf(block, round(x + PILL_PADDING.x), y + PILL_PADDING.y, lit)}`
}

const CORNER_RADIUS = 7

/** Straight pieces with rounded corners; it ends a little before the point, where the arrow head begins. */
function pathOf(points: readonly Point[]): string {
  const [first, ...rest] = points
  if (!first) return ''
  const pieces = rest.map((point, index) => {
    const before = points[index] ?? point
    const after = rest[index + 1]
    if (!after) return `L${at(towards(point, before, HEAD_LENGTH - 1))}`
    const radius = Math.min(CORNER_RADIUS, distance(before, point) / 2, distance(point, after) / 2)
    return `L${at(towards(point, before, radius))}Q${at(point)} ${at(towards(point, after, radius))}`
  })
  return `M${at(first)}${pieces.join('')}`
}

const HEAD_LENGTH = 8

function headOf(points: readonly Point[]): string {
  const [before, tip] = points.slice(-2)
  if (!before || !tip) return ''
  const base = towards(tip, before, HEAD_LENGTH)
  const across = { x: (tip.y - base.y) * 0.5, y: (base.x - tip.x) * 0.5 }
  const side = (sign: number) => at({ x: base.x + sign * across.x, y: base.y + sign * across.y })
  return `M${at(tip)}L${side(1)}L${side(-1)}Z`
}

function towards(from: Point, to: Point, length: number): Point {
  const share = length / (distance(from, to) || 1)
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share }
}

function distance(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y)
}

function at({ x, y }: Point): string {
  return `${round(x)} ${round(y)}`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
