/// <reference lib="dom" />
/**
 * One actor: why it is where it is, its chart lit, what it would hear, its timers running down, all it heard, its files
 * and its metrics.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { decodeToken } from '../../../machines/domain/dataId.ts'
import type { MachineKind } from '../../../machines/index.ts'
import type { Dataset, Metric } from '../../../machines/domain/reports.ts'
import { explain } from '../../night/explain.ts'
import { emissionInWords, type GroupRecord, type StepRecord, leafOf, type Night } from '../../night/night.ts'
import { ActorCommands } from './ActorCommands.tsx'
import { Chart } from './Chart.tsx'
import {
  Actor,
  Chip,
  clock,
  Empty,
  exactly,
  fileUrl,
  jobTone,
  jobWord,
  Section,
  size,
  span,
  stateTone,
} from './parts.tsx'
import { entryAt, indexOf, night, now, source, travel } from './store.ts'
import { version } from './frames.ts'
import { legalNext, readable } from './taken.ts'

export function ActorView({ address }: { address: string }) {
  void version.value
  const [chosen, choose] = useState<StepRecord | null>(null)
  const tonight = night()
  const found = find(tonight, address)
  if (found === null)
    return (
      <>
        <header class="actor-head">
          <h1>{address}</h1>
        </header>
        <p class="explain">
          There is no {address} at this moment of the night. <a href="#/">Back to the night</a>
        </p>
      </>
    )
  const { kind, snapshot, history, timers, isLive } = found
  const job = kind === 'job' ? tonight.jobs.get(address.slice('job.'.length)) : undefined
  const step = chosen ?? history.at(-1) ?? null
  const shown = chosen?.after ?? snapshot
  const text = explain(tonight, address)
  return (
    <div class="actor">
      <header class="actor-head">
        <h1>{kind === 'gather' ? `group ${decodeToken(address.slice('gather.'.length))}` : address}</h1>
        {job ? (
          <Chip tone={jobTone(job)}>{jobWord(job)}</Chip>
        ) : (
          <Chip tone={stateTone(leafOf(snapshot))}>{leafOf(snapshot)}</Chip>
        )}
        {!isLive && <span class="muted">is over</span>}
        <ActorCommands job={job} group={groupOf(tonight, address)} />
        <Share />
      </header>
      {text !== null && <p class="explain">{text}</p>}
      <div class="columns wide-left">
        <div>
          <Section title={`Chart of ${kind}`} note={chosen === null ? '' : `as it was after entry ${chosen.n}`}>
            <Chart kind={kind} snapshot={shown} step={step} />
          </Section>
          {job && <Files jobId={job.jobId} datasets={job.context.datasets} />}
        </div>
        <div>
          <Timers timers={timers} />
          {job && <Previews jobId={job.jobId} datasets={job.context.datasets} />}
          {job && <Metrics metrics={job.context.metrics} verdict={job.context.verdict} />}
          <Section title="Would hear now">
            {isLive ? (
              <ul class="words">
                {legalNext(snapshot).map(name => (
                  <li key={name}>{name}</li>
                ))}
              </ul>
            ) : (
              <Empty>Nothing any more.</Empty>
            )}
          </Section>
          <History history={history} chosen={chosen} choose={choose} />
          <Section title="Context">
            <Tree value={shown.context as unknown} />
          </Section>
        </div>
      </div>
    </div>
  )
}

function groupOf(tonight: Night, address: string): GroupRecord | undefined {
  return address.startsWith('gather.') ? tonight.groups.get(decodeToken(address.slice('gather.'.length))) : undefined
}

interface FoundActor {
  readonly kind: MachineKind
  readonly snapshot: StepRecord['after']
  readonly history: readonly StepRecord[]
  readonly timers: ReadonlyMap<string, number>
  readonly isLive: boolean
}

function find(tonight: Night, address: string): FoundActor | null {
  const actor = tonight.world.actor(address)
  const history = tonight.histories.get(address) ?? []
  if (actor) return { kind: actor.kind, snapshot: actor.snapshot, history, timers: actor.timers, isLive: true }
  const last = history.at(-1)
  const job = tonight.jobs.get(address.replace(/^job\./, ''))
  if (last) return { kind: last.kind, snapshot: last.after, history, timers: new Map(), isLive: false }
  if (job) return { kind: 'job', snapshot: job.snapshot, history, timers: new Map(), isLive: false }
  return null
}

function Share() {
  const [copied, setCopied] = useState(false)
  if (source.value !== 'live') return null
  const copy = async () => {
    await navigator.clipboard.writeText(location.href)
    setCopied(true)
  }
  return (
    <button type="button" onClick={() => void copy().catch(() => setCopied(false))}>
      {copied ? 'Link copied' : 'Copy link'}
    </button>
  )
}

function Timers({ timers }: { timers: ReadonlyMap<string, number> }) {
  // A timer that is set for longer than that stands for none.
  const shown = [...timers].filter(([, due]) => due <= now() + FAR_MS)
  if (shown.length === 0) return null
  return (
    <Section title="Timers">
      <ul class="timers">
        {shown.map(([name, due]) => (
          <li key={name}>
            <b>{readable(name)}</b>
            <span class="number">{due > now() ? `in ${span(due - now())}` : 'due'}</span>
            <time>{clock(due)}</time>
          </li>
        ))}
      </ul>
    </Section>
  )
}

const FAR_MS = 14 * 24 * 3_600_000

function History({
  history,
  chosen,
  choose,
}: {
  history: readonly StepRecord[]
  chosen: StepRecord | null
  choose: (step: StepRecord | null) => void
}) {
  return (
    <Section
      title="What it heard"
      note={
        chosen === null ? (
          `${history.length}, newest first`
        ) : (
          <button type="button" onClick={() => choose(null)}>
            Back to now
          </button>
        )
      }
    >
      <ol class="history">
        {[...history].reverse().map((step, index) => (
          <li key={`${step.n}-${history.length - index}`} class={isSame(step, chosen) ? 'chosen' : ''}>
            <button type="button" onClick={() => choose(step)} title="show the chart as it was then">
              <time>{exactly(step.at)}</time>
              <b>{readable(step.event.type)}</b>
              <span class="muted">{moveOf(step)}</span>
            </button>
            <Folded label={`entry ${step.n}`}>
              {() => (
                <>
                  <EntryOf n={step.n} />
                  <ul class="said">
                    {step.emissions.map((emission, at) => (
                      <li key={at}>{emissionInWords(emission)}</li>
                    ))}
                  </ul>
                </>
              )}
            </Folded>
          </li>
        ))}
      </ol>
    </Section>
  )
}

/** Its inside is made when it is opened: of hundreds nobody opens more than a few. */
function Folded({
  label,
  children,
  ...rest
}: {
  label: ComponentChildren
  class?: string
  children: () => ComponentChildren
}) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details {...rest} onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>{label}</summary>
      {isOpen && children()}
    </details>
  )
}

/** After the night was folded again, the same step is another object. */
function isSame(step: StepRecord, other: StepRecord | null): boolean {
  return step.n === other?.n && step.event.type === other.event.type
}

function EntryOf({ n }: { n: number }) {
  const index = indexOf(n)
  const entry = index === null ? undefined : entryAt(index)
  if (index === null || entry === undefined) return null
  return (
    <div>
      <button type="button" onClick={() => travel(index + 1)}>
        Travel here
      </button>
      <Tree value={entry.what} />
    </div>
  )
}

function moveOf({ before, after }: StepRecord): string {
  const to = leafOf(after)
  if (before === null) return `begins in ${to}`
  const from = leafOf(before)
  return from === to ? `stays ${to}` : `${from} → ${to}`
}

function Metrics({ metrics, verdict }: { metrics: readonly Metric[]; verdict: string | null }) {
  if (metrics.length === 0 && verdict === null) return null
  return (
    <Section title="Metrics" note={verdict === null ? '' : <Chip tone="warn">{verdict}</Chip>}>
      <table>
        <tbody>
          {metrics.map(({ metric, value, unit }) => (
            <tr key={metric}>
              <th>{metric}</th>
              <td class="number">
                {typeof value === 'number' ? Number(value.toPrecision(5)) : (value ?? 'not measured')}
              </td>
              <td>{unit}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

/** What an observer looks for first. */
function Previews({ jobId, datasets }: { jobId: string; datasets: readonly Dataset[] }) {
  const previews = datasets.filter(({ mime }) => mime.startsWith('image/'))
  if (source.value !== 'live' || previews.length === 0) return null
  return (
    <Section title="Images" note={<a href={`#/images/${encodeURIComponent(jobId)}`}>large, beside others</a>}>
      {previews.map(({ path, dataset }) => (
        <a key={path} href={fileUrl(jobId, path)} target="_blank" rel="noreferrer">
          <img class="preview" src={fileUrl(jobId, path)} alt={`${dataset} of job ${jobId}`} loading="lazy" />
        </a>
      ))}
    </Section>
  )
}

function Files({ jobId, datasets }: { jobId: string; datasets: readonly Dataset[] }) {
  const [files, setFiles] = useState<readonly { path: string; size: number }[] | null>(null)
  const isLive = source.value === 'live'
  useEffect(() => {
    if (!isLive) return
    const stopping = new AbortController()
    fetch(fileUrl(jobId, ''), { signal: stopping.signal })
      .then(async response =>
        setFiles(response.ok ? ((await response.json()) as { path: string; size: number }[]) : null),
      )
      .catch(() => {})
    return () => stopping.abort()
  }, [jobId, datasets.length, isLive])
  if (!isLive)
    return datasets.length === 0 ? null : (
      <Section title="Files" note="named in the recording, not contained in it">
        <ul class="files">
          {datasets.map(({ dataset, path }) => (
            <li key={path}>
              {path} <span class="muted">{dataset}</span>
            </li>
          ))}
        </ul>
      </Section>
    )
  return (
    <Section title="Files" note={files === null ? '' : files.length}>
      {files === null || files.length === 0 ? (
        <Empty>No file of this job is on this machine (yet).</Empty>
      ) : (
        <ul class="files">
          {files.map(({ path, size: bytes }) => (
            <li key={path}>
              <a href={fileUrl(jobId, path)} target="_blank" rel="noreferrer">
                {path}
              </a>{' '}
              <span class="muted">
                {size(bytes)} {datasets.find(one => one.path === path)?.dataset ?? ''}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

// Deeper or longer is the recording's; this is for a look.
const TREE_ITEMS = 60

function Tree({ value, name }: { value: unknown; name?: string }) {
  const isFolded = typeof value === 'object' && value !== null && name !== undefined
  if (typeof value !== 'object' || value === null)
    return (
      <div class="leaf">
        {name !== undefined && <span class="key">{name}</span>} <Leaf name={name ?? ''} value={value} />
      </div>
    )
  const items = Object.entries(value)
  const inner = () => (
    <div class="tree">
      {items.slice(0, TREE_ITEMS).map(([key, item]) => (
        <Tree key={key} name={key} value={item} />
      ))}
      {items.length > TREE_ITEMS && <div class="leaf muted">and {items.length - TREE_ITEMS} more</div>}
    </div>
  )
  if (!isFolded) return inner()
  if (items.length === 0)
    return (
      <div class="leaf">
        <span class="key">{name}</span> <span class="muted">{Array.isArray(value) ? '[ ]' : '{ }'}</span>
      </div>
    )
  return (
    <Folded
      class="branch"
      label={
        <>
          <span class="key">{name}</span>{' '}
          <span class="muted">{Array.isArray(value) ? `${items.length} items` : `${items.length} fields`}</span>
        </>
      }
    >
      {inner}
    </Folded>
  )
}

const ADDRESS = /^(csc|queue|shelf|(job|gather|reply)\.[^\s]+)$/

function Leaf({ name, value }: { name: string; value: unknown }) {
  if (name === 'jobId' && typeof value === 'string') return <Actor address={`job.${value}`}>{value}</Actor>
  if (typeof value === 'string' && ADDRESS.test(value) && night().histories.has(value)) return <Actor address={value} />
  const isTime = typeof value === 'number' && value > 1.5e12 && value < 4e12
  return (
    <span class={`value ${typeof value}`}>
      {JSON.stringify(value)}
      {isTime && <span class="muted"> {exactly(value)}</span>}
    </span>
  )
}
