import { existsSync, readFileSync } from 'node:fs'
import type { GroupResult, JobResult } from '../../machines/domain/announcements.ts'
import type { Heard } from './auditor.ts'
import type { Acknowledged, Sent } from './load.ts'

/**
 * Compares what was acknowledged with what was announced and with what really ran. Reads three files; the numbers that
 * must be zero are marked, and say which job or group they are about.
 */
export interface Evidence {
  readonly loadFile: string
  readonly auditFile: string
  readonly ranFile: string
  /** Asks the instance about what was not heard live: the auditor, too, was cut off while the server was away. */
  readonly result: (jobId: string) => Promise<JobResult | null>
  readonly group: (group: string) => Promise<GroupResult | null>
  /** Descriptions of processes that are still there. */
  readonly orphans: readonly string[]
  /** Launchers that were killed: whoever was lost was with one of them. */
  readonly launchersKilled: ReadonlySet<number>
}

export interface Row {
  readonly what: string
  readonly count: number
  readonly mustBeZero: boolean
  readonly which: readonly string[]
}

export async function audit(evidence: Evidence): Promise<Row[]> {
  const load = lines<Sent | Acknowledged>(evidence.loadFile)
  const heard = lines<Heard>(evidence.auditFile)
  const sent = load.filter(line => line.what === 'sent')
  const acknowledged = load.filter(line => line.what === 'acknowledged')
  const commands = new Map(sent.map(one => [one.id, one]))
  const accepted = acknowledged.filter(({ ack }) => ack === 303)
  const aborted = new Set(sent.filter(({ command }) => command === 'abortJob').flatMap(({ of }) => of ?? []))
  const jobs = new Map(
    accepted.flatMap(({ id, jobIds }) => {
      const { command, pipeline = '' } = commands.get(id) ?? {}
      return command === 'processData' || command === 'retry' ? jobIds.map(jobId => [jobId, pipeline] as const) : []
    }),
  )
  const groups = new Set(sent.flatMap(({ group }) => group ?? []))

  const results = byKey(
    heard.filter(line => line.what === 'result'),
    line => line.result.jobId,
  )
  const groupResults = byKey(
    heard.filter(line => line.what === 'group'),
    line => line.result.group,
  )
  const gathers = byKey(
    heard.filter(line => line.what === 'group'),
    line => `${line.result.group} revision ${line.result.revision}`,
  )
  const ran = byKey(readFileSync(evidence.ranFile, 'utf8').split('\n').filter(Boolean), line =>
    line.split(' ').slice(0, 2).join(' '),
  )

  const final = new Map<string, JobResult>()
  const lost: string[] = []
  for (const jobId of jobs.keys()) {
    const result = results.get(jobId)?.at(-1)?.result ?? (await evidence.result(jobId))
    if (result) final.set(jobId, result)
    else lost.push(jobId)
  }
  const groupsLost: string[] = []
  for (const group of groups) if (!groupResults.has(group) && !(await evidence.group(group))) groupsLost.push(group)

  const twoIds = (all: ReadonlyMap<string, readonly { readonly id: string }[]>) =>
    [...all].filter(([, said]) => new Set(said.map(({ id }) => id)).size > 1).map(([key]) => key)
  const again = [...results.values()].filter(said => said.length > 1).length
  const outcomes = (kind: string) => [...final.values()].filter(({ outcome }) => outcome.kind === kind).length
  const commandIds = byKey(
    [...results.values()].flatMap(([said]) => said?.result ?? []),
    ({ commandId }) => commandId,
  )

  return [
    row('commands sent', sent.length),
    row('acknowledged', acknowledged.length),
    bad('never acknowledged', missing(sent, acknowledged)),
    bad(
      'refused',
      acknowledged
        .filter(({ id, ack, result }) => ack !== 303 && !mayBeRefused(commands.get(id), result))
        .map(({ id, result }) => `${id}: ${result}`),
    ),
    ...(['abortJob', 'retry', 'pause'] as const).map(command =>
      row(`  of them ${command}`, sent.filter(one => one.command === command).length),
    ),
    row('jobs accepted', jobs.size),
    row('jobs settled', final.size),
    row('  succeeded', outcomes('succeeded')),
    row('  failed', outcomes('failed')),
    row('  aborted', outcomes('aborted')),
    row('  lost with evidence', outcomes('lost')),
    bad(
      'lost though its launcher lived',
      [...final.values()]
        .filter(({ outcome }) => outcome.kind === 'lost')
        .filter(({ outcome }) => !evidence.launchersKilled.has(Number(/launcher (\d+)/u.exec(outcome.message)?.[1])))
        .map(({ jobId, outcome }) => `${jobId}: ${outcome.message}`),
    ),
    row('  heard again under the same id', again),
    bad('jobs never settled', lost),
    bad('jobs settled under two ids', twoIds(results)),
    bad(
      'commands executed twice',
      [...commandIds].filter(([id, said]) => id.startsWith('load-') && said.length > 1).map(([id]) => id),
    ),
    bad(
      'attempts run twice',
      [...ran].filter(([, runs]) => runs.length > 1).map(([key]) => key),
    ),
    bad(
      'ended well without having run',
      [...final.values()]
        .filter(({ jobId, attempt, outcome }) => outcome.kind === 'succeeded' && !ran.has(`${jobId} ${attempt}`))
        .map(({ jobId }) => jobId),
    ),
    bad(
      'wrong exit codes',
      [...final.values()]
        .filter(result => !isRight(result, jobs.get(result.jobId) ?? '', aborted))
        .map(
          ({ jobId, pipeline, outcome }) =>
            `${jobId} ${pipeline}: ${outcome.code} ${outcome.exitCode} ${outcome.message}`,
        ),
    ),
    bad(
      'metrics missing or doubled',
      [...final.values()]
        .filter(hasWrongMetrics)
        .map(({ jobId, metrics }) => `${jobId}: ${metrics.map(({ metric }) => metric).join()}`),
    ),
    row('groups', groups.size),
    row('gathers', gathers.size),
    bad('groups never gathered', groupsLost),
    bad('gathers announced under two ids', twoIds(gathers)),
    bad(
      'groups gathered incompletely',
      [...groupResults]
        .filter(([, said]) => said.some(({ result }) => result.members.length < 3))
        .map(([group]) => group),
    ),
    bad(
      'groups with a wrong outcome',
      [...groupResults.values()].flatMap(said =>
        said
          .filter(({ result }) => !isRightGroup(result))
          .map(({ result }) => `${result.group}: ${result.outcome} (${result.message})`),
      ),
    ),
    row('  combined again with a late member', [...gathers.keys()].filter(key => key.endsWith('revision 2')).length),
    bad('heartbeats of one who had been replaced', replaced(heard)),
    bad('orphan processes', evidence.orphans),
  ]
}

export function show(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ what }) => what.length))
  return rows
    .map(({ what, count, mustBeZero, which }) => {
      const verdict = !mustBeZero ? '' : count === 0 ? '  ok' : `  WRONG: ${which.slice(0, 5).join('; ')}`
      return `${what.padEnd(width)}  ${String(count).padStart(6)}${verdict}`
    })
    .join('\n')
}

/** Of those that do not succeed. */
const EXIT_CODES: Readonly<Record<string, number>> = { fail: 7, fifoErr: 3, fifoOut: 3, sparse: 3 }

/** A job ends as its pipeline does, by a signal of ours, or lost where its launcher was killed with it. */
function isRight({ jobId, outcome }: JobResult, pipeline: string, aborted: ReadonlySet<string>): boolean {
  if (outcome.kind === 'lost' || outcome.code === 'SIGNAL') return true
  if (outcome.kind === 'aborted') return aborted.has(jobId)
  return outcome.exitCode === (EXIT_CODES[pipeline] ?? 0)
}

/** A job may have ended before somebody asks to stop it, and may not have failed yet when it is to be run again. */
function mayBeRefused(command: Sent | undefined, result: string): boolean {
  if (command?.command === 'abortJob') return result.includes('ended already') || result.includes('settled')
  return command?.command === 'retry'
}

/**
 * By its name and by what became of its members: one whose launcher was killed may be lost, and then the policy counts.
 */
function isRightGroup({ group, outcome, members }: GroupResult): boolean {
  const haveAll = members.every(member => member.outcome === 'succeeded')
  if (haveAll) return outcome === 'complete'
  const [policy = ''] = group.split('-')
  // Whole ones are sent under each policy in turn, too.
  if (policy === 'complete') return ['partial', 'skipped', 'failed'].includes(outcome)
  return outcome === { partial: 'partial', skip: 'skipped', fail: 'failed' }[policy]
}

function hasWrongMetrics({ pipeline, outcome, metrics }: JobResult): boolean {
  return (
    (pipeline === 'metrics' || pipeline === 'long') &&
    outcome.kind === 'succeeded' &&
    metrics
      .map(({ metric }) => metric)
      .toSorted()
      .join() !== 'a,b,c'
  )
}

/** A process beats until another one does; from then on it is silent for ever. */
function replaced(heard: readonly Heard[]): string[] {
  const over = new Set<number>()
  const wrong: string[] = []
  let present = 0
  for (const line of heard) {
    if (line.what !== 'beat' || line.pid === present) continue
    if (over.has(line.pid)) wrong.push(`pid ${line.pid} after pid ${present}`)
    over.add(present)
    present = line.pid
  }
  return wrong
}

function missing(sent: readonly Sent[], acknowledged: readonly Acknowledged[]): string[] {
  const answered = new Set(acknowledged.map(({ id }) => id))
  return sent.filter(({ id }) => !answered.has(id)).map(({ id }) => id)
}

function row(what: string, count: number): Row {
  return { what, count, mustBeZero: false, which: [] }
}

function bad(what: string, which: readonly string[]): Row {
  return { what, count: which.length, mustBeZero: true, which }
}

function byKey<T>(all: readonly T[], key: (one: T) => string): Map<string, T[]> {
  const map = new Map<string, T[]>()
  for (const one of all) map.set(key(one), [...(map.get(key(one)) ?? []), one])
  return map
}

function lines<T>(file: string): T[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as T)
}
