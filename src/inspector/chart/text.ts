import type { Label } from './graph.ts'

/*
 * How wide text is, without a browser: the advance widths of DejaVu Sans, which is wider than Inter, Helvetica, Arial,
 * Segoe UI and San Francisco at the same size, so that what fits here fits there. And labels broken into lines that are
 * not too wide.
 */

export const LINE_HEIGHT = 16
export const TEXT_SIZE = 11.5
export const TITLE_SIZE = 13

export interface Span {
  readonly text: string
  readonly style: 'who' | 'event' | 'guard' | 'action' | 'word'
  /** The transition it stands for, if it is the name of a message. */
  readonly edge: string | null
}

export interface Block {
  readonly lines: readonly (readonly Span[])[]
  readonly width: number
  readonly height: number
}

/** Labels one below the other. Neighbours that differ in nothing but the message share their lines. */
export function blockOf(labels: readonly Label[], widthMax: number): Block {
  const lines = grouped(labels).flatMap(group => wrapped(wordsOf(group), widthMax))
  const width = Math.max(0, ...lines.map(line => line.reduce((sum, span) => sum + spanWidth(span), 0)))
  return { lines, width: Math.ceil(width), height: lines.length * LINE_HEIGHT }
}

export function textWidth(text: string, size: number, bold = false): number {
  const widths = bold ? BOLD : REGULAR
  let sum = 0
  for (const char of text) sum += widths[char.charCodeAt(0) - 32] ?? WIDEST
  return (sum * size) / 1_000
}

function spanWidth({ text, style }: Span): number {
  return textWidth(text, TEXT_SIZE, style === 'event')
}

function grouped(labels: readonly Label[]): Label[][] {
  const groups: Label[][] = []
  for (const label of labels) {
    const last = groups.at(-1)
    if (last?.[0] && last[0].kind === 'event' && isAlike(last[0], label)) last.push(label)
    else groups.push([label])
  }
  return groups
}

function isAlike(one: Label, other: Label): boolean {
  return one.kind === other.kind && one.guard === other.guard && one.actions.join() === other.actions.join()
}

type Word = readonly Span[]

/** What may not be broken apart. */
function wordsOf(group: readonly Label[]): Word[] {
  const [first] = group
  if (!first) return []
  const { guard, actions } = first
  const names = group.map((label, index) => nameOf(label, index < group.length - 1 ? ',' : ''))
  // Of a transition that waits for no message, the condition is the name.
  const condition: Word[] = guard === null || first.kind === 'always' ? [] : [[plain(`[${guard}]`, 'guard')]]
  const idle: Word[] = first.target === null && actions.length === 0 ? [[plain('is ignored', 'word')]] : []
  const doings = actions.map((action, index): Word => {
    const comma = index < actions.length - 1 ? ',' : ''
    const stroke = index === 0 ? [plain('/ ', 'word')] : []
    return [...stroke, plain(`${action}${comma}`, 'action')]
  })
  return [...names, ...condition, ...idle, ...doings]
}

function nameOf({ kind, event, guard, edge }: Label, comma: string): Word {
  switch (kind) {
    case 'entry':
    case 'exit':
      return [plain(kind, 'word')]
    case 'always':
      return guard === null ? [{ text: 'at once', style: 'who', edge }] : [{ text: `[${guard}]`, style: 'guard', edge }]
    case 'after':
      return [plain('after ', 'who'), { text: event.slice('after '.length), style: 'event', edge }]
    case 'event': {
      const dot = event.lastIndexOf('.') + 1
      const who = dot === 0 ? [] : [plain(event.slice(0, dot), 'who')]
      return [...who, { text: event.slice(dot), style: 'event', edge }, ...(comma === '' ? [] : [plain(comma, 'who')])]
    }
  }
}

const INDENT = '   '

/** Greedy: as many words on a line as fit; what goes on is indented. */
function wrapped(words: readonly Word[], widthMax: number): Span[][] {
  const lines: Span[][] = []
  let width = 0
  for (const word of words) {
    const wide = word.reduce((sum, span) => sum + spanWidth(span), 0)
    const line = lines.at(-1)
    const space = plain(' ', 'word')
    if (line && width + spanWidth(space) + wide <= widthMax) {
      line.push(space, ...word)
      width += spanWidth(space) + wide
    } else {
      const indent = plain(line ? INDENT : '', 'word')
      lines.push([indent, ...word])
      width = spanWidth(indent) + wide
    }
  }
  return lines.map(line => line.filter(({ text }) => text !== ''))
}

function plain(text: string, style: Span['style']): Span {
  return { text, style, edge: null }
}

// Thousandths of the size, from the space to the tilde; from the hmtx table of DejaVu Sans 2.37.
const REGULAR = [
  318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
  636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863,
  748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635,
  615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636,
  337, 636, 838,
]
const BOLD = [
  348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696, 696, 696, 696, 696,
  696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683, 683, 821, 837, 372, 372, 775, 637, 995,
  837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771, 724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716,
  678, 435, 716, 712, 343, 343, 665, 343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712,
  365, 712, 838,
]
const WIDEST = 1_100
