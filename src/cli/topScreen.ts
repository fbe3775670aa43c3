/**
 * `ocps top`, drawn: facts and a size in, lines out, nothing else. Lines are never wider than the screen, and hold
 * nothing that a terminal would obey but our own colours: what pipelines and clients say is shown, not executed.
 */
import { duration, plain } from './format.ts'
import type { Paint } from './output.ts'
import type { GroupFacts, Percentiles, TopFacts } from './topFacts.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export interface Style {
  readonly paint: Paint
  /** The terminal shows blocks; else `#`. */
  readonly hasBlocks: boolean
}

type How = Parameters<Paint>[0] | null
type Span = readonly [how: How, text: string]
type ScreenLine = readonly Span[]

const BAR_WIDTH = 20
const LABEL = 9
// A reason is a sentence; where it is longer than this, "ocps explain" has all of it.
const REASON_LINES_MAX = 2

export function topScreen(facts: TopFacts, { columns, rows }: Size, { paint, hasBlocks }: Style): string[] {
  const bars = hasBlocks ? BLOCKS : PLAIN
  const head = [...headOf(facts), ...queueOf(facts, bars, columns), ...latencyOf(facts)]
  const parts = [runningOf(facts), groupsOf(facts, bars), failuresOf(facts)].filter(part => part.length > 0)
  const lines = [...head, ...share(parts, rows - head.length)]
  return lines.slice(0, rows).map(line => painted(fitted(line, columns), paint))
}

function headOf({ instance, summaryState, away, process, configuration, error, at }: TopFacts): ScreenLine[] {
  const tone = summaryState === 'ENABLED' ? 'good' : summaryState === 'FAULT' ? 'bad' : 'busy'
  const who = process === null ? 'no process yet' : `${process.host}, process ${process.pid}, OCPS ${process.ocps}`
  return [
    [
      ['strong', `OCPS ${instance}`],
      [null, '  '],
      [tone, summaryState],
      [null, '  '],
      away === null ? ['good', 'live'] : ['bad', `AWAY: ${away}; what is shown is old`],
      ['faint', `  ${new Date(at).toISOString().slice(11, 19)} UTC`],
    ],
    row('active', `${who}, ${configuration ?? 'no configuration applied'}`),
    ...(error === null ? [] : [[['faint', 'error    '] as const, ['bad', error] as const]]),
  ]
}

function queueOf({ queue, over, rate }: TopFacts, bars: Bars, columns: number): ScreenLine[] {
  const { state, mode, order, slots, slotsTaken, pools = [], reserved, running, ahead, waiting, held, why } = queue
  const heldTotal = Object.values(held).reduce((sum, count) => sum + count, 0)
  const reasons = Object.entries(held).map(([name, count]) => `${count} ${HELD_WORDS[name] ?? name}`)
  const rules = mode === null ? '' : `, ${mode}, ${order}`
  return [
    [
      ['faint', 'queue    '],
      [state === 'flowing' ? 'good' : 'busy', state],
      [null, `${rules}   slots `],
      ['busy', bar(bars, BAR_WIDTH, [slotsTaken], slots)],
      [null, ` ${slotsTaken} of ${slots}`],
      [
        null,
        reserved === null ? '' : `, ${reserved.free} kept free for ${reserved.jobId}, which needs ${reserved.needs}`,
      ],
    ],
    ...pools.map(
      (one, index): ScreenLine => [
        ['faint', (index === 0 ? 'pools' : '').padEnd(LABEL)],
        ['busy', bar(bars, BAR_WIDTH, [one.slotsTaken], one.slots)],
        [null, ` ${one.pool}: ${one.slotsTaken} of ${one.slots}, ${one.waiting} waiting`],
      ],
    ),
    row(
      'jobs',
      `${running} running, ${ahead === 0 ? '' : `${ahead} handed over, `}${waiting} waiting, ${heldTotal} held${heldTotal === 0 ? '' : ` (${reasons.join(', ')})`}`,
    ),
    ...why
      .flatMap(text => wrapped(plain(text), columns - LABEL))
      .map((text, index) => row(index === 0 ? 'why' : '', text)),
    [
      ['faint', 'over     '],
      [null, `${over.succeeded} succeeded, `],
      [over.others === 0 ? null : 'bad', `${over.others} not`],
      [null, `, ${over.shelf} on the shelf`],
    ],
    row('rate', `${rate.lastMinute} in the last minute, ${rate.lastTenMinutes / 10} per minute over ten`),
  ]
}

const HELD_WORDS: Readonly<Record<string, string>> = {
  awaitingData: 'for data',
  awaitingJobs: 'for other jobs',
  backingOff: 'before the next attempt',
}

function latencyOf({ latency: { jobs, waited, ran, whole } }: TopFacts): ScreenLine[] {
  if (jobs === 0) return []
  const cells = (name: string, of: Percentiles | null): ScreenLine => [
    [null, `  ${name}`.padEnd(21)],
    [null, (of === null ? [] : [of.p50, of.p90, of.p99, of.max]).map(ms => duration(ms).padStart(12)).join('')],
  ]
  const title = jobs === 1 ? 'THE LAST JOB' : `THE LAST ${jobs} JOBS`
  return [
    [['faint', title.padEnd(21) + ['p50', 'p90', 'p99', 'max'].map(name => name.padStart(12)).join('')]],
    cells('waited for a slot', waited),
    cells('ran', ran),
    cells('command to result', whole),
  ]
}

function runningOf({ running }: TopFacts): ScreenLine[] {
  if (running.length === 0) return []
  const lines = running.map(({ jobId, state, data, pipeline, forMs, leftMs, note }) => [
    state,
    jobId,
    data,
    pipeline,
    age(forMs),
    leftMs === null ? '-' : age(leftMs),
    note,
  ])
  return table(['RUNNING', 'JOB', 'DATA', 'PIPELINE', 'FOR', 'STOPPED IN', 'NOTE'], lines, ([state = '']) =>
    state === 'stopping' ? 'bad' : 'busy',
  )
}

function groupsOf({ groups }: TopFacts, bars: Bars): ScreenLine[] {
  if (groups.length === 0) return []
  const lines = groups.map(group => [
    group.state,
    group.group,
    bar(bars, BAR_WIDTH, [group.settled, group.accepted], group.total),
    `${group.settled} of ${group.total} settled${group.unsuccessful === 0 ? '' : `, ${group.unsuccessful} not successful`}`,
  ])
  return table(['GROUP', 'NAME', 'FILLING', ''], lines, (_, index) => groupTone(groups[index]))
}

function groupTone(group: GroupFacts | undefined): How {
  if (!group?.isOver) return 'busy'
  return group.state === 'complete' || group.state === 'skipped' ? 'good' : 'bad'
}

function failuresOf({ failures }: TopFacts): ScreenLine[] {
  if (failures.length === 0) return []
  const lines = failures.map(({ at, what, kind, text }) => [kind, new Date(at).toISOString().slice(11, 19), what, text])
  return table(['FAILED', 'AT', 'WHAT', 'WHY'], lines, () => 'bad')
}

/** Columns as wide as their widest cell, the last as it is; the first cell painted. */
function table(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  tone: (cells: readonly string[], index: number) => How,
): ScreenLine[] {
  const clean = rows.map(cells => cells.map(plain))
  const widths = titles.map((title, at) =>
    Math.min(COLUMN_MAX, Math.max(title.length, ...clean.map(cells => cells[at]?.length ?? 0))),
  )
  const padded = (cells: readonly string[]) =>
    cells.map((cell, at) =>
      at === cells.length - 1 ? cell : `${short(cell, widths[at] ?? 0).padEnd(widths[at] ?? 0)}  `,
    )
  return [
    [['faint', padded(titles).join('').trimEnd()]],
    ...clean.map((cells, index): ScreenLine => {
      const [first = '', ...rest] = padded(cells)
      return [
        [tone(cells, index), first],
        [null, rest.join('')],
      ]
    }),
  ]
}

// Ids are up to 64 characters; a column that is wider pushes the rest off the screen.
const COLUMN_MAX = 32

/** As much of each part as fits, an empty line before each: what one does not need, the others get. */
function share(parts: readonly (readonly ScreenLine[])[], rows: number): ScreenLine[] {
  let left = rows
  const takes = new Map<number, number>()
  const byLength = parts.map((part, index) => ({ index, wants: part.length + 1 })).sort((a, b) => a.wants - b.wants)
  for (const [place, { index, wants }] of byLength.entries()) {
    const take = Math.min(wants, Math.floor(left / (byLength.length - place)))
    takes.set(index, take)
    left -= take
  }
  return parts.flatMap((part, index) => {
    const take = takes.get(index) ?? 0
    // A title without a row under it says nothing.
    if (take < 3) return []
    const shown = part.length + 1 <= take ? part : part.slice(0, take - 2)
    const more = part.length - shown.length
    return [[], ...shown, ...(more === 0 ? [] : [[['faint', `and ${more} more`] as const]])]
  })
}

interface Bars {
  readonly full: string
  readonly half: string
  readonly empty: string
}

const BLOCKS: Bars = { full: '█', half: '▒', empty: '░' }
const PLAIN: Bars = { full: '#', half: '=', empty: '.' }

/** Full up to the first part, half up to the second. */
function bar({ full, half, empty }: Bars, width: number, [one = 0, two = one]: readonly number[], of: number): string {
  const cells = (part: number) => (of <= 0 ? 0 : Math.min(width, Math.round((part / of) * width)))
  const [a, b] = [cells(one), cells(two)]
  return full.repeat(a) + half.repeat(Math.max(0, b - a)) + empty.repeat(width - Math.max(a, b))
}

function row(name: string, text: string): ScreenLine {
  return [
    ['faint', name.padEnd(LABEL)],
    [null, text],
  ]
}

/** `4 s`, `3 min 05 s`, `2 h 10 min`: an age does not flicker in its decimals. */
function age(ms: number): string {
  const s = Math.floor(ms / 1_000)
  if (s < 60) return `${s} s`
  if (s < 3_600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`
  return `${Math.floor(s / 3_600)} h ${String(Math.floor((s % 3_600) / 60)).padStart(2, '0')} min`
}

function fitted(line: ScreenLine, columns: number): ScreenLine {
  let left = columns
  return line.map(([how, text]): Span => {
    const cut = short(plain(text), left)
    left -= cut.length
    return [how, cut]
  })
}

function short(text: string, width: number): string {
  return text.length <= width ? text : width < 1 ? '' : `${text.slice(0, width - 1)}…`
}

/** On lines of its own where it is too wide; what is still too long is cut with the last of them. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  let rest = text
  while (rest.length > width && lines.length < REASON_LINES_MAX - 1) {
    const at = rest.lastIndexOf(' ', width)
    if (at < 1) break
    lines.push(rest.slice(0, at))
    rest = `  ${rest.slice(at + 1)}`
  }
  return [...lines, rest]
}

function painted(line: ScreenLine, paint: Paint): string {
  return line.map(([how, text]) => (how === null || text === '' ? text : paint(how, text))).join('')
}
