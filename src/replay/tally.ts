import type { Announcement, GroupResult, JobResult } from '../../machines/domain/announcements.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import { REFUSALS } from '../../machines/domain/refusals.ts'
import type { Effect } from '../engine/world.ts'

/**
 * What came of a night, in numbers: how jobs and groups ended, how long they waited, who was refused. Made of what was
 * said and ordered alone, so that a recorded night and a supposed one are measured with the same measure.
 */
export interface Tally {
  /** Jobs accepted. */
  readonly jobs: number
  readonly outcomes: Readonly<Partial<Record<OutcomeKind, number>>>
  /** Accepted and not settled at the end. */
  readonly open: number
  /** From accepted to started, of jobs that started; milliseconds. */
  readonly waitingMs: Quantiles
  /** From accepted to settled, milliseconds. */
  readonly turnaroundMs: Quantiles
  /** The newest result of each group. */
  readonly groups: Readonly<Partial<Record<GroupResult['outcome'], number>>>
  /** Refusal code → commands. */
  readonly refused: Readonly<Record<string, number>>
  /** From the first job accepted to the last one settled, milliseconds. */
  readonly makespanMs: number
}

export interface Quantiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface Tallying {
  take(effects: readonly Effect[]): void
  tally(): Tally
  /** By job id; the newest result of each. */
  readonly results: ReadonlyMap<string, JobResult>
  readonly groupResults: ReadonlyMap<string, GroupResult>
  /** Jobs in the order of their first start. */
  readonly started: readonly string[]
}

export function createTallying(): Tallying {
  const results = new Map<string, JobResult>()
  const groupResults = new Map<string, GroupResult>()
  const accepted = new Set<string>()
  const started = new Set<string>()
  const refused = new Map<string, number>()

  return {
    results,
    groupResults,
    get started() {
      return [...started]
    },
    take(effects) {
      for (const effect of effects)
        if (effect.do === 'announce') hear(effect.announcement)
        else if (effect.order.type === 'executor.start') started.add(effect.order.jobId)
    },
    tally() {
      const all = [...results.values()]
      const times = all.map(({ times: one }) => one)
      return {
        jobs: accepted.size,
        outcomes: counted(all.map(({ outcome }) => outcome.kind)),
        open: accepted.size - results.size,
        waitingMs: quantiles(times.flatMap(({ accepted: from, started: to }) => (to === null ? [] : [to - from]))),
        turnaroundMs: quantiles(times.map(({ accepted: from, settled }) => settled - from)),
        groups: counted([...groupResults.values()].map(({ outcome }) => outcome)),
        refused: Object.fromEntries([...refused].sort(([a], [b]) => (a < b ? -1 : 1))),
        makespanMs:
          times.length === 0
            ? 0
            : times.reduce((latest, { settled }) => Math.max(latest, settled), 0) -
              times.reduce((earliest, { accepted: at }) => Math.min(earliest, at), Infinity),
      }
    },
  }

  function hear(said: Announcement): void {
    if (said.type === 'ack') {
      const { code, ack } = said.body
      // In synchronous mode an acknowledgement also says how the processing ended; that is no refusal.
      if (ack < 0 && code !== null && Object.hasOwn(REFUSALS, code)) refused.set(code, (refused.get(code) ?? 0) + 1)
    } else if (said.type === 'event') {
      if (said.topic === 'jobState') accepted.add(said.body.jobId)
      if (said.topic === 'jobResult') {
        accepted.add(said.body.jobId)
        results.set(said.body.jobId, said.body)
      }
      if (said.topic === 'groupResult') groupResults.set(said.body.group, said.body)
    }
  }
}

function counted<K extends string>(all: readonly K[]): Partial<Record<K, number>> {
  const counts: Partial<Record<K, number>> = {}
  for (const one of all) counts[one] = (counts[one] ?? 0) + 1
  return counts
}

/** Nearest rank; zeros for nothing. */
function quantiles(values: readonly number[]): Quantiles {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) }
}
