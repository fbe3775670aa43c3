/// <reference lib="dom" />
/**
 * The night at a glance: what needs attention first, then who waits and why, who runs, how groups fill, and how jobs
 * lay in time.
 */
import type { QueueContext } from '../../../machines/queue.ts'
import { inAll } from '../../../machines/standing.ts'
import { useMemo } from 'preact/hooks'
import type { CscContext } from '../../../machines/csc.ts'
import { isAwaited } from '../../../machines/groupMembers.ts'
import type { JobContext } from '../../../machines/jobContext.ts'
import { explainGroup, explainJob, explainJobBriefly, exposuresOf } from '../../night/explain.ts'
import { type GroupRecord, type JobRecord, leafOf, type Night, poolsOf } from '../../night/night.ts'
import { reservedIn } from '../../night/slots.ts'
import {
  Actor,
  Chip,
  clock,
  dataName,
  Empty,
  jobTone,
  jobWord,
  outcomeTone,
  Section,
  shapeOf,
  span,
  stateTone,
  type Tone,
} from './parts.tsx'
import { night, now, reach } from './store.ts'
import { version } from './frames.ts'
import { Timeline } from './Timeline.tsx'

// What can be read at a glance; the rest is counted.
const ROWS_MAX = 40
const GROUPS_MAX = 12
const ATTENTION_MAX = 12

export function NightView() {
  void version.value
  const tonight = night()
  const open = openJobs(tonight)
  return (
    <div class="night">
      <Tiles night={tonight} open={open.length} />
      <div class="columns">
        <div>
          <Attention night={tonight} />
          <Queue night={tonight} open={open} />
        </div>
        <div>
          <Groups night={tonight} />
        </div>
      </div>
      <Timeline night={tonight} open={open} />
      <Reach night={tonight} />
    </div>
  )
}

/**
 * Of those that run, not of the whole night: a night has two hundred thousand jobs, and this is drawn five times a
 * second.
 */
function openJobs({ world, jobs }: Night): JobRecord[] {
  const open: JobRecord[] = []
  for (const { snapshot } of world.actors('job')) {
    const job = jobs.get((snapshot.context as JobContext).jobId)
    if (job) open.push(job)
  }
  return open
}

function Reach({ night: tonight }: { night: Night }) {
  const from = reach()
  const until = Math.max(from ?? 0, tonight.forgottenUntil ?? 0)
  if (until === 0) return null
  return (
    <p class="muted">
      This page goes back to {clock(until)} UTC. What was over before is in the journal: “ocps record” writes it to a
      file that can be dropped here.
    </p>
  )
}

function Tiles({ night: tonight, open }: { night: Night; open: number }) {
  const queue = tonight.world.actor('queue')
  const csc = tonight.world.actor('csc')
  if (!queue || !csc) return null
  const { configuration } = queue.snapshot.context as QueueContext
  const pools = poolsOf(tonight)
  const used = inAll(pools)
  const [reserved] = reservedIn(tonight)
  const { applied } = csc.snapshot.context as CscContext
  const flow = leafOf(queue.snapshot)
  const { over, succeeded } = tonight.tally
  const walls = tonight.settled.flatMap(({ context: { outcome } }) => outcome?.usage?.wallMs ?? [])
  const groups = [...tonight.groups.values()]
  return (
    <div class="tiles">
      <Tile
        title="Queue"
        value={<Chip tone={stateTone(flow)}>{flow}</Chip>}
        note={
          <span title={applied ? `configured by ${applied.configurations}` : ''}>
            {configuration ? `${configuration.mode} · ${ORDERS[configuration.order]}` : 'not configured yet'}
          </span>
        }
      />
      <Tile
        title="Slots"
        value={`${used.slotsTaken} / ${used.slots}`}
        note={
          <span title={reserved ? `kept free for ${reserved.jobId}, which needs ${reserved.needs}` : ''}>
            <Bar parts={used.slotsTaken} of={used.slots} />
            {pools.length > 1 && pools.map(one => `${one.pool} ${one.slotsTaken}/${one.slots}`).join(' · ')}
            {reserved && ` ${reserved.free} kept free`}
          </span>
        }
      />
      <Tile
        title="Running"
        value={used.jobs.length}
        note={`${used.ahead === 0 ? '' : `${used.ahead} handed over · `}${used.waiting} waiting · ${open - used.waiting - used.jobs.length - used.ahead} held`}
      />
      <Tile title="Over" value={over} note={`${succeeded} succeeded · ${over - succeeded} not`} />
      <Tile
        title="Median run"
        value={walls.length === 0 ? '–' : span(median(walls))}
        note={walls.length === 0 ? 'nothing ran yet' : `longest of ${walls.length}: ${span(Math.max(...walls))}`}
      />
      <Tile
        title="Groups"
        value={groups.length}
        note={`${groups.filter(({ state }) => state === 'open').length} open · ${groups.filter(({ context }) => context.result?.outcome === 'complete').length} complete`}
      />
    </div>
  )
}

const ORDERS = { fifo: 'oldest first', newestFirst: 'newest first' } as const

function Tile({
  title,
  value,
  note,
}: {
  title: string
  value: preact.ComponentChildren
  note: preact.ComponentChildren
}) {
  return (
    <div class="tile">
      <h2>{title}</h2>
      <div class="value">{value}</div>
      <div class="note">{note}</div>
    </div>
  )
}

function Bar({ parts, of }: { parts: number; of: number }) {
  const share = of === 0 ? 0 : Math.min(1, parts / of)
  return (
    <svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label={`${parts} of ${of}`}>
      <rect width="100" height="6" rx="3" class="bar-all" />
      <rect width={share * 100} height="6" rx="3" class="bar-part" />
    </svg>
  )
}

interface Concern {
  readonly at: number
  readonly tone: Tone
  readonly address: string | null
  readonly name: string
  /** Put into words when it is shown. */
  readonly text: () => string
}

function Attention({ night: tonight }: { night: Night }) {
  const concerns = concernsOf(tonight)
  // Of failures only the last are kept.
  const all = concerns.length - tonight.failures.length + tonight.tally.over - tonight.tally.succeeded
  return (
    <Section title="Needs attention" note={all === 0 ? '' : all}>
      {concerns.length === 0 ? (
        <Empty>
          <Chip tone="good">All is well</Chip> No job, group or command has failed.
        </Empty>
      ) : (
        <ul class="attention">
          {concerns.slice(0, ATTENTION_MAX).map(({ at, tone, address, name, text }) => (
            <li key={`${at}${name}`} class={tone}>
              <span class="shape" aria-hidden="true">
                {shapeOf(tone)}
              </span>
              <time>{clock(at)}</time>
              <span>
                {address === null ? <b>{name}</b> : <Actor address={address}>{name}</Actor>} {text()}
              </span>
            </li>
          ))}
        </ul>
      )}
      {all > ATTENTION_MAX && <p class="more">and {all - ATTENTION_MAX} more</p>}
    </Section>
  )
}

function concernsOf(tonight: Night): Concern[] {
  const csc = tonight.world.actor('csc')
  const { errorCode, errorReport } = csc ? (csc.snapshot.context as CscContext) : { errorCode: 0, errorReport: '' }
  const fault: Concern[] =
    csc && leafOf(csc.snapshot) === 'fault'
      ? [
          {
            at: Number.MAX_SAFE_INTEGER / 1_000,
            tone: 'bad',
            address: 'csc',
            name: 'FAULT',
            text: () => `code ${errorCode}: ${errorReport}`,
          },
        ]
      : []
  const failed = tonight.failures.map(job => ({
    at: job.context.times.settled,
    tone: jobTone(job),
    address: `job.${job.jobId}`,
    name: dataName(job),
    text: () => explainJob(tonight, job).replace(`Job ${job.jobId} `, ''),
  }))
  const groups = [...tonight.groups.values()]
    .filter(({ context }) => context.result !== null && context.result.outcome !== 'complete')
    .map(group => ({
      at: group.since,
      tone: group.context.result?.outcome === 'partial' ? ('warn' as const) : ('bad' as const),
      address: group.address,
      name: group.group,
      text: () => explainGroup(tonight, group).replace(`Group ${group.group} `, ''),
    }))
  const refusals = tonight.refusals.map(({ at, identity, code, result }) => ({
    at,
    tone: 'warn' as const,
    address: null,
    name: `${identity} was refused (${code})`,
    text: () => result.replace(/^Failed: /, ''),
  }))
  return [...fault, ...[...failed, ...groups, ...refusals].sort((a, b) => rank(a) - rank(b) || b.at - a.at)].map(one =>
    one.at > 1e14 ? { ...one, at: tonight.at } : one,
  )
}

/** Failures before what is merely odd. */
function rank({ tone }: Concern): number {
  return tone === 'bad' ? 0 : 1
}

const ORDER = ['running', 'starting', 'stopping', 'queued', 'backingOff', 'awaitingData', 'awaitingJobs']

/**
 * The first of each state, in the order in which one asks for them; sorting thousands to show forty would take long.
 */
function firstOf(open: readonly JobRecord[], most: number): JobRecord[] {
  const byState = new Map<string, JobRecord[]>(ORDER.map(state => [state, []]))
  for (const job of open) {
    const same = byState.get(job.state) ?? []
    if (same.length < most) same.push(job)
    byState.set(job.state, same)
  }
  return [...byState.values()].flat().slice(0, most)
}

function Queue({ night: tonight, open }: { night: Night; open: readonly JobRecord[] }) {
  return (
    <Section title="Jobs now" note={open.length === 0 ? '' : open.length}>
      {open.length === 0 ? (
        <Empty>Nothing is waiting and nothing runs.</Empty>
      ) : (
        <table class="jobs">
          <thead>
            <tr>
              <th>State</th>
              <th>Data</th>
              <th>Pipeline</th>
              <th>For</th>
              <th>Why</th>
            </tr>
          </thead>
          <tbody>
            {firstOf(open, ROWS_MAX).map(job => (
              <tr key={job.jobId}>
                <td>
                  <Chip tone={jobTone(job)}>{jobWord(job)}</Chip>
                </td>
                <td>
                  <Actor address={`job.${job.jobId}`}>{dataName(job)}</Actor>
                </td>
                <td>{job.context.pipeline.name}</td>
                <td class="number">{span(now() - job.since)}</td>
                <td class="why">{explainJobBriefly(tonight, job)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {open.length > ROWS_MAX && <p class="more">and {open.length - ROWS_MAX} more</p>}
    </Section>
  )
}

function Groups({ night: tonight }: { night: Night }) {
  const groups = [...tonight.groups.values()].reverse()
  return (
    <Section title="Groups" note={groups.length === 0 ? '' : groups.length}>
      {groups.length === 0 && <Empty>No group yet. A job becomes a member with “group” in processData.</Empty>}
      {groups.slice(0, GROUPS_MAX).map(group => (
        <Group key={group.group} night={tonight} group={group} />
      ))}
      {groups.length > GROUPS_MAX && <p class="more">and {groups.length - GROUPS_MAX} earlier</p>}
    </Section>
  )
}

function Group({ night: tonight, group }: { night: Night; group: GroupRecord }) {
  const { context, state, address } = group
  const members = context.members
  const outcome = context.result?.outcome ?? null
  const tone: Tone =
    outcome === null ? stateTone(state) : outcome === 'complete' ? 'good' : outcome === 'partial' ? 'warn' : 'bad'
  return (
    <article class="group">
      <header>
        <Chip tone={tone}>{outcome ?? state}</Chip>
        <Actor address={address}>{group.group}</Actor>
        <span class="count">
          {members.filter(member => !isAwaited(member)).length}/{members.length}
          {context.revision > 1 && ` · revision ${context.revision}`}
        </span>
      </header>
      <Members night={tonight} group={group} />
      <p class="why">{explainGroup(tonight, group).replace(`Group ${group.group} `, '')}</p>
    </article>
  )
}

function Members({ night: tonight, group: { group, context, address } }: { night: Night; group: GroupRecord }) {
  const { members } = context
  const missing = Math.max(0, (context.expected ?? 0) - exposuresOf(context))
  const words = members.map(
    ({ jobId, output }) =>
      output?.outcome.kind ??
      (jobId === null ? 'not processed by itself' : (tonight.jobs.get(jobId)?.state ?? 'unknown')),
  )
  // A dozen groups are two thousand members: those of a group where nothing has changed are not gone through again.
  return useMemo(
    () => (
      <ul class={members.length > 60 ? 'cells many' : 'cells'} aria-label={`members of ${group}`}>
        {members.map(({ jobId, identity, output }, at) => {
          const job = tonight.jobs.get(jobId ?? '')
          const tone = output ? outcomeTone(output.outcome.kind) : job ? jobTone(job) : 'wait'
          return (
            <li key={jobId ?? identity}>
              <a
                class={`cell ${tone}`}
                href={`#/actor/${encodeURIComponent(jobId === null ? address : `job.${jobId}`)}`}
                title={`${identity}: ${words[at]}`}
                aria-label={`${identity}: ${words[at]}`}
              >
                {shapeOf(tone)}
              </a>
            </li>
          )
        })}
        {Array.from({ length: Math.min(missing, 200) }, (_, index) => (
          <li
            key={index}
            class="cell missing"
            aria-label="expected, not accepted yet"
            title="expected, not accepted yet"
          />
        ))}
      </ul>
    ),
    [group, words.join(' '), missing],
  )
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}
