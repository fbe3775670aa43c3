/// <reference lib="dom" />
/**
 * Small things every view uses: a state as shape, word and colour (never colour alone), ages, links to actors,
 * sections. Text only; nothing that comes from the journal is ever put into the page as markup.
 */
import type { ComponentChildren } from 'preact'
import type { DataId } from '../../../machines/domain/dataId.ts'
import type { Outcome } from '../../../machines/domain/outcome.ts'
import type { JobRecord } from '../../night/night.ts'

export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'wait' | 'idle'

const SHAPES: Readonly<Record<Tone, string>> = { good: '●', bad: '✕', warn: '▲', busy: '▶', wait: '◦', idle: '■' }

export function Chip({ tone, children, title }: { tone: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class={`chip ${tone}`} title={title ?? ''}>
      <span class="shape" aria-hidden="true">
        {SHAPES[tone]}
      </span>
      {children}
    </span>
  )
}

export function shapeOf(tone: Tone): string {
  return SHAPES[tone]
}

export function Section({
  title,
  note,
  children,
  id,
}: {
  title: string
  note?: ComponentChildren
  children: ComponentChildren
  id?: string
}) {
  return (
    <section class="panel" aria-label={title} id={id ?? ''}>
      <h2>
        {title} {note !== undefined && <small>{note}</small>}
      </h2>
      {children}
    </section>
  )
}

export function Actor({ address, children }: { address: string; children?: ComponentChildren }) {
  return <a href={`#/actor/${encodeURIComponent(address)}`}>{children ?? address}</a>
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>
}

const OUTCOME_TONES: Readonly<Record<Outcome['kind'], Tone>> = {
  succeeded: 'good',
  failed: 'bad',
  timedOut: 'bad',
  lost: 'bad',
  aborted: 'warn',
  skipped: 'warn',
}

const STATE_TONES: Readonly<Record<string, Tone>> = {
  awaitingJobs: 'wait',
  awaitingData: 'wait',
  queued: 'wait',
  starting: 'busy',
  running: 'busy',
  stopping: 'warn',
  backingOff: 'warn',
  watching: 'good',
  open: 'wait',
  closing: 'busy',
  gathering: 'busy',
  gathered: 'good',
  abandoned: 'bad',
  enabled: 'good',
  flowing: 'good',
  disabled: 'wait',
  standby: 'idle',
  offline: 'idle',
  paused: 'warn',
  closed: 'idle',
  fault: 'bad',
}

export function jobTone({ isOpen, state, context }: JobRecord): Tone {
  return isOpen ? stateTone(state) : outcomeTone(context.outcome?.kind ?? null)
}

export function jobWord({ isOpen, state, context }: JobRecord): string {
  return isOpen ? state : (context.outcome?.kind ?? state)
}

export function outcomeTone(kind: Outcome['kind'] | null): Tone {
  return kind === null ? 'wait' : OUTCOME_TONES[kind]
}

export function stateTone(state: string): Tone {
  return STATE_TONES[state] ?? 'idle'
}

export function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19)
}

export function exactly(at: number): string {
  return new Date(at).toISOString().slice(11, 23)
}

/** `40 ms`, `3.2 s`, `4 min 05 s`, `2 h 10 min`. */
export function span(ms: number): string {
  if (ms > 0 && ms < 100) return `${Math.ceil(ms)} ms`
  const s = Math.max(0, ms) / 1000
  if (s < 10) return `${s.toFixed(1)} s`
  if (s < 60) return `${Math.round(s)} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(Math.round(s % 60)).padStart(2, '0')} s`
  return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')} min`
}

export function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** The data of a job, short. */
export function dataName({ context: { dataId } }: JobRecord): string {
  return dataNameOf(dataId)
}

export function dataNameOf(dataId: DataId): string {
  if (dataId.obsid === null) return `group ${dataId.group ?? '–'}`
  return dataId.detector === null ? dataId.obsid : `${dataId.obsid} · ${dataId.detector}`
}

export function fileUrl(jobId: string, path: string): string {
  return `/files/${encodeURIComponent(jobId)}/${path.split('/').map(encodeURIComponent).join('/')}`
}
