/** The figures for people: Markdown tables, and one sentence each on what they mean. Nothing is measured here. */
import type { Result } from './bench.ts'
import type { Peer } from './port.ts'
import { divided, ratiosOf } from './ratios.ts'
import { type Sheet, spreadOf } from './sheet.ts'

export function tables(result: Result): string {
  const machine = Object.entries(result.machine).map(([name, value]) => `${name} ${value}`)
  return [
    `# OCPS bench\n\n${machine.join(' · ')}; median (min–max) of the rounds.`,
    throughputTable(result),
    pathTable(result),
    growthTable(result),
    memoryTable(result),
    limitsTable(result),
    ratioTable(result),
    keptList(result),
  ]
    .filter(text => text !== '')
    .join('\n\n')
}

/** Every value there is; what the gate reads back. */
export function documentOf({ machine, versions, skipped, sheet }: Result): Document {
  return { machine, versions: Object.fromEntries(versions), skipped, figures: sheet.toJSON() }
}

export interface Document extends Pick<Result, 'machine' | 'skipped'> {
  readonly versions: Readonly<Record<string, string>>
  readonly figures: ReturnType<Sheet['toJSON']>
}

type Column = readonly [head: string, cell: (system: string) => string]

function throughputTable({ sheet, systems }: Result): string {
  const true_ = (c: string): Column[] => [
    [`/bin/true ${c}, jobs/s`, of(sheet, `true ${c} jobs/s`)],
    ['÷ Node', over(sheet, `true ${c} jobs/s`, 'node-spawn')],
    ['÷ C', over(sheet, `true ${c} jobs/s`, 'c-posix_spawn')],
    ['CPU ms/job', of(sheet, `true ${c} CPU ms/job`)],
    ['accepted ms p50', of(sheet, `true ${c} accepted ms p50`)],
    ['p99', of(sheet, `true ${c} accepted ms p99`)],
    ['event loop late, ms p99', of(sheet, `event loop late ${c} ms p99`)],
  ]
  const long = (c: string): Column[] => [
    [`sleep 0.05 ${c}, % of ideal`, of(sheet, `sleep ${c} of ideal`, 100)],
    [`quicklook ${c}, jobs/s`, of(sheet, `quicklook ${c} jobs/s`)],
    ['÷ Node', over(sheet, `quicklook ${c} jobs/s`, 'node-spawn')],
  ]
  const meaning =
    'Jobs per second end to end: from the first submission to the last result seen by the script, with 64 submissions in flight. The bare loops are what this machine can do when nothing is accepted, written down or told; CPU is everything of a system, script and jobs included.'
  return [
    section('Jobs per second', meaning, systems, [...true_('c2'), ...true_('c8')]),
    section(
      'Jobs that take time',
      'A slot that stands empty between two jobs shows in sleeps; with real frames the way a job is started hardly matters, whoever starts it.',
      systems,
      [...long('c2'), ...long('c8')],
    ),
  ].join('\n\n')
}

function pathTable({ sheet, systems }: Result): string {
  const pair = (figure: string): Column[] => [
    [`${figure} p50`, of(sheet, `${figure} p50`)],
    ['p99', of(sheet, `${figure} p99`)],
  ]
  return section(
    'The path of one job on an idle system, ms',
    'Accepted is what the system promises to have by then (see the end); started is read by the job itself as its first act; seen is when the script has the result. The gather waits for 189 members.',
    systems,
    [
      ...pair('submit → accepted ms'),
      ...pair('submit → started ms'),
      ...pair('end → seen ms'),
      ...pair('last member → gather ms'),
    ],
  )
}

function growthTable({ sheet, systems }: Result): string {
  const depths = [...new Set(systems.flatMap(({ depths }) => depths))].sort((one, other) => one - other)
  const rows = systems.flatMap(({ name }) =>
    [...depths, ...depthsOf(sheet, name)]
      .filter((depth, at, all) => all.indexOf(depth) === at && sheet.values(name, `jobs/s, ${depth} queued`).length > 0)
      .map(depth => [
        name,
        String(depth),
        ...['accepted/s', 'accepted ms', 'jobs/s', 'CPU ms/job'].map(figure =>
          of(sheet, figure === 'accepted ms' ? `accepted ms, ${depth} queued p99` : `${figure}, ${depth} queued`)(name),
        ),
        of(sheet, `memory kB, ${depth} queued`, 1 / 1024)(name),
        of(sheet, `recovery ms, ${depth} queued`)(name),
        of(sheet, `starts after kill -9, ${depth} queued`)(name),
      ]),
  )
  if (rows.length === 0) return ''
  const head = [
    'system',
    'queued',
    'accepted/s',
    'accepted ms p99',
    'jobs/s',
    'CPU ms/job',
    'memory MB',
    'back after kill -9, ms',
    'starts it took',
  ]
  return `## A queue that grows\n\nThe same batch goes into and out of a queue that is held at each depth: a cost per job that stays flat is what is looked for.\n\n${markdown(head, rows)}`
}

function depthsOf(sheet: Sheet, name: string): number[] {
  return Object.keys(sheet.toJSON()[name] ?? {}).flatMap(figure => {
    const depth = /^jobs\/s, (\d+) queued$/.exec(figure)?.[1]
    return depth === undefined ? [] : [Number(depth)]
  })
}

function memoryTable({ sheet, systems }: Result): string {
  const perQueued = (name: string): string => {
    const depths = depthsOf(sheet, name).sort((one, other) => one - other)
    const [least, most] = [depths[0], depths.at(-1)]
    if (least === undefined || most === undefined || least === most) return '–'
    const at = (depth: number): number =>
      spreadOf(sheet.values(name, `memory kB, ${depth} queued`))?.median ?? Number.NaN
    return shown((at(most) - at(least)) / (most - least))
  }
  return section(
    'Memory, and coming back',
    'Memory is the proportional set size of everything but jobs and script; of garbage-collected programs it includes what is not collected yet. Coming back: kill -9 of what holds the queue, until it answers again.',
    systems,
    [
      ['idle MB', of(sheet, 'memory kB, idle', 1 / 1024)],
      ['kB per live job', of(sheet, 'memory kB per live job')],
      ['kB per queued job', perQueued],
      ['back, nothing queued, ms', of(sheet, 'recovery ms, nothing queued')],
      ['queued jobs lost by kill -9', of(sheet, 'queued jobs lost by kill -9')],
      ['heartbeat off by, ms p99', of(sheet, 'heartbeat off by ms p99')],
      ['max', of(sheet, 'heartbeat off by ms max')],
      ['replayed entries/s', of(sheet, 'replayed entries/s')],
    ],
  )
}

function limitsTable({ sheet, versions }: Result): string {
  if (!sheet.has('nats-server')) return ''
  const times = ['publish ms p50', 'publish ms p99', 'request ms p50', 'request ms p99', 'chain ms p50', 'chain ms p99']
  const figures = [...times, 'publish/s', 'request/s']
  const rows = [
    [`nats-server ${versions.get('nats-server') ?? ''}`, ...figures.map(figure => of(sheet, figure)('nats-server'))],
  ]
  const head = [
    'system',
    'stored and confirmed, ms p50',
    'p99',
    'asked and answered, ms p50',
    'p99',
    'asked, stored and answered, ms p50',
    'p99',
    'stored per second, 64 in flight',
    'answered per second',
  ]
  return `## The message server alone\n\nNothing that is accepted over it can be faster than asked, stored and answered, 10 ms apart as on the path above.\n\n${markdown(head, rows)}`
}

function ratioTable({ sheet }: Result): string {
  const rows = ratiosOf(sheet).map(({ name, better, values }) => [name, cell(values), better])
  if (rows.length === 0) return ''
  return `## What \`npm run bench:gate\` watches\n\nRatios of OCPS to what the same machine did in the same round.\n\n${markdown(['ratio', 'median (min–max)', 'better'], rows)}`
}

function keptList({ systems, versions, skipped }: Result): string {
  const kept = systems.map(({ name, durability }) => `- ${name} ${versions.get(name) ?? ''}: ${durability}.`)
  return `## What survives a kill -9 of the daemon\n\n${[...kept, ...skipped.map(sentence => `- ${sentence}`)].join('\n')}`
}

function section(title: string, meaning: string, systems: readonly Peer[], columns: readonly Column[]): string {
  const rows = systems.map(({ name }) => [name, ...columns.map(([, cell]) => cell(name))])
  const filled = rows.filter(([, ...cells]) => cells.some(cell => cell !== '–'))
  return filled.length === 0
    ? ''
    : `## ${title}\n\n${meaning}\n\n${markdown(['system', ...columns.map(([head]) => head)], filled)}`
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|---|${'---:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n')
}

function of(sheet: Sheet, figure: string, factor = 1): (system: string) => string {
  return system => cell(sheet.values(system, figure).map(value => value * factor))
}

function over(sheet: Sheet, figure: string, limit: string): (system: string) => string {
  return system => cell(divided(sheet.values(system, figure), sheet.values(limit, figure)))
}

function cell(values: readonly number[]): string {
  const spread = spreadOf(values)
  if (spread === null) return '–'
  const { median, min, max } = spread
  return values.length === 1 ? shown(median) : `${shown(median)} (${shown(min)}–${shown(max)})`
}

/** Three digits say more than the spread allows already. */
export function shown(value: number): string {
  const size = Math.abs(value)
  if (size >= 100 || value === 0) return value.toFixed(0)
  return size >= 10 ? value.toFixed(1) : value.toFixed(2)
}
