import type { DataOrder, StartOrder, StopOrder } from '../../machines/ports.ts'
import type { Located } from '../../machines/domain/located.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import { createCapacityBook, neverBegan } from '../../machines/domain/capacity.ts'
import { attemptKey, dataAttemptKey, dataKey, isEnd, type Attempt, type TimedReport, type History } from './history.ts'

/**
 * The executor and the locator of a supposed night: every attempt goes as it went in the recording, begun as an
 * executor does: when it fits. What never ran there, or was cut short, takes the median of its pipeline, and is counted
 * with a sentence that says so.
 */
export interface Supposed {
  /** What is to come of this order: nothing yet where it waits for a slot. */
  start(order: StartOrder, now: number): Coming[]
  stop(order: StopOrder, now: number): Coming[]
  /** An attempt has ended: what is to come of those that waited for its slots. */
  ended(attempt: { readonly jobId: string; readonly attempt: number }, now: number): Coming[]
  look(order: Extract<DataOrder, { type: 'data.look' }>, now: number): Arriving[]
  counts(): Readonly<Record<string, number>>
}

export interface Coming {
  readonly afterMs: number
  /** The recorded place among what happened at the same moment; null: it did not happen. */
  readonly rank: number | null
  readonly what: ExecutorReport
  /** Set when something else came first. */
  readonly called: { off: boolean }
}

export interface Arriving {
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  readonly rank: number | null
  readonly type: 'data.present' | 'data.absent'
  readonly inputs?: Located
}

interface Play {
  readonly order: StartOrder
  readonly attempt: Attempt | null
  /** Infinity: it waits for a slot. */
  startedAt: number
  endsAt: number
  called: { off: boolean }
}

export function createSupposed(history: History): Supposed {
  const plays = new Map<string, Play>()
  const book = createCapacityBook<Play>()
  const counts = new Map<string, number>()
  const medians = medianDurations(history)

  return {
    start(order, now) {
      const play = {
        order,
        attempt: attemptFor(order),
        startedAt: Infinity,
        endsAt: Infinity,
        called: { off: false },
      }
      plays.set(attemptKey(order), play)
      return begin(book.order(play, order.pipeline, order.capacity), now)
    },
    stop(order, now) {
      const play = plays.get(attemptKey(order))
      if (play === undefined || play.endsAt < now || play.called.off) return []
      const isWaiting = book.isWaiting(play)
      play.called.off = true
      const called = { off: false }
      const stopped = (isWaiting ? takenOff(play, order) : cutShort(play, order, now)).map(one => ({ ...one, called }))
      return isWaiting ? [...stopped, ...begin(book.end(play), now)] : stopped
    },
    ended(attempt, now) {
      const play = plays.get(attemptKey(attempt))
      return play === undefined ? [] : begin(book.end(play), now)
    },
    look({ jobId, dataId }, now) {
      const look = history.looks.get(jobId) ?? history.looksOfData.get(dataKey(dataId))
      if (look === undefined) {
        count('data that nobody looked for in the recording were taken to be there')
        return [{ at: now, rank: null, type: 'data.present' }]
      }
      const { absent, present, lookedAt } = look
      if (present !== null && (absent === null || present.at <= now))
        return [
          {
            at: Math.max(now, now + (absent === null ? present.at - lookedAt : 0)),
            rank: present.n,
            type: 'data.present',
            ...inputsIn(present),
          },
        ]
      return [
        ...(absent === null ? [] : [{ at: now + absent.at - lookedAt, rank: absent.n, type: 'data.absent' } as const]),
        ...(present === null
          ? []
          : [{ at: present.at, rank: present.n, type: 'data.present', ...inputsIn(present) } as const]),
      ]
    },
    counts: () => Object.fromEntries(counts),
  }

  function begin(begun: readonly Play[], now: number): Coming[] {
    return begun.flatMap(play => {
      const { order, attempt, called } = play
      const coming = attempt === null || attempt.begunAt === null ? likeTheOthers(order, 0) : asItWent(order, attempt)
      const last = coming.at(-1)
      play.startedAt = now
      play.endsAt = last && isEnd(last.what) ? now + last.afterMs : Infinity
      return coming.map(one => ({ ...one, called }))
    })
  }

  function attemptFor(order: StartOrder): Attempt | null {
    const same = history.attempts.get(attemptKey(order))
    if (same?.pipeline === order.pipeline.name) return same
    return history.attemptsOfData.get(dataAttemptKey(order)) ?? null
  }

  function asItWent(order: StartOrder, attempt: Attempt): Omit<Coming, 'called'>[] {
    const reports = attempt.reports.map(one => again(one, order))
    if (attempt.stop === null && attempt.end !== null) return [...reports, again(attempt.end, order)]
    if (attempt.stop?.timeWasUp === true) {
      count('attempts that ran into their time limit were taken to run on without end')
      return reports
    }
    count(
      'attempts that were cut short in the recording were taken to go on for the median of their pipeline, and to succeed',
    )
    const ran = attempt.stop?.afterMs ?? reports.at(-1)?.afterMs ?? 0
    const began = reports.some(({ what }) => what.type === 'executor.started')
    return [...reports, ...likeTheOthers(order, ran).filter(({ what }) => !began || what.type !== 'executor.started')]
  }

  function likeTheOthers(order: StartOrder, atLeastMs: number): Omit<Coming, 'called'>[] {
    const ofPipeline = medians.get(order.pipeline.name)
    if (atLeastMs === 0)
      count(
        ofPipeline === undefined
          ? `jobs of ${order.pipeline.name}, which never ran in the recording, were taken to last the median of all jobs, and to succeed`
          : `jobs of ${order.pipeline.name} that never ran in the recording were taken to last the median of those that did, and to succeed`,
      )
    const runs = Math.max(atLeastMs, ofPipeline ?? medians.get('') ?? 0)
    const { jobId, attempt } = order
    return [
      { afterMs: 0, rank: null, what: { type: 'executor.started', jobId, attempt, pid: 0 } },
      { afterMs: runs, rank: null, what: exited(order, 0, null, runs) },
    ]
  }

  function count(sentence: string): void {
    counts.set(sentence, (counts.get(sentence) ?? 0) + 1)
  }
}

function inputsIn({ inputs }: { readonly inputs?: Located }): { readonly inputs?: Located } {
  return inputs === undefined ? {} : { inputs }
}

/** What it still said while it was being stopped, and its end. */
function cutShort({ attempt, startedAt }: Play, order: StopOrder, now: number): Omit<Coming, 'called'>[] {
  const { stop = null, end = null, reports = [], begunAt = null } = attempt ?? {}
  if (stop === null || end === null || begunAt === null)
    return [{ afterMs: 0, rank: null, what: exited(order, null, 'SIGTERM', now - startedAt) }]
  return [...reports.filter(({ afterMs }) => afterMs > stop.afterMs), end].map(one => ({
    ...again(one, order),
    afterMs: Math.max(0, one.afterMs - stop.afterMs),
  }))
}

/** Stopped before a slot was free. */
function takenOff({ attempt, order: { pipeline } }: Play, order: StopOrder): Omit<Coming, 'called'>[] {
  if (attempt?.begunAt === null && attempt.end !== null) return [again(attempt.end, order)]
  const { jobId, attempt: number } = order
  const what = { type: 'executor.startFailed', jobId, attempt: number, ...neverBegan(pipeline.name) } as const
  return [{ afterMs: 0, rank: null, what }]
}

function again({ afterMs, n, what }: TimedReport, { jobId, attempt }: StartOrder | StopOrder): Omit<Coming, 'called'> {
  return { afterMs, rank: n, what: { ...what, jobId, attempt } }
}

function exited(
  { jobId, attempt }: { readonly jobId: string; readonly attempt: number },
  exitCode: number | null,
  signal: string | null,
  wallMs: number,
): ExecutorReport {
  const stoppedBy = signal === null ? null : ('SIGTERM' as const)
  const usage = { wallMs, cpuMs: 0, peakMemoryKiB: 0, stdoutBytes: 0, stderrBytes: 0, stoppedBy, survivors: 0 }
  return { type: 'executor.exited', jobId, attempt, exitCode, signal, usage, stderrTail: '' }
}

/** Pipeline → median of the attempts that ended by themselves, milliseconds; '' for all of them. */
function medianDurations({ attempts }: History): Map<string, number> {
  const durations = new Map<string, number[]>([['', []]])
  for (const { pipeline, end, stop } of attempts.values()) {
    if (stop !== null || end?.what.type !== 'executor.exited') continue
    durations.get('')?.push(end.afterMs)
    const known = durations.get(pipeline)
    if (known) known.push(end.afterMs)
    else durations.set(pipeline, [end.afterMs])
  }
  return new Map(
    [...durations].flatMap(([pipeline, all]) => {
      const middle = all.sort((a, b) => a - b)[Math.floor(all.length / 2)]
      return middle === undefined ? [] : [[pipeline, middle] as const]
    }),
  )
}
