import type { Event, JobResult } from '../../machines/domain/announcements.ts'
import { SUMMARY_STATE } from '../../machines/domain/summaryState.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { Numbered } from '../engine/engine.ts'
import type { Log } from '../log.ts'

/**
 * The lines of the log that follow from what an instance announces: one for every change of its state, and one for
 * every job that failed. A job that succeeded, was aborted or was skipped has no line: its result is an event, and a
 * night has ten thousands of them. Every line of the log is also an event `logMessage`, which presence.ts publishes, so
 * that nothing else has to.
 */
export function createChronicle({ instance, log }: { instance: string; log: Log }): (said: Numbered) => void {
  let state: string | null = null
  return ({ announcement }) => {
    if (announcement.type !== 'event') return
    const { topic, body } = announcement
    if (topic === 'summaryState') goTo(stateOf(body.summaryState))
    else if (topic === 'errorCode') breakDown(body)
    else if (topic === 'jobResult') settle(body)
  }

  function goTo(next: string): void {
    const before = state
    state = next
    if (next === before || next === 'FAULT') return
    log.info({}, before === null ? `OCPS ${instance} is ${next}` : `OCPS ${instance} goes from ${before} to ${next}`)
  }

  /** Said with FAULT, before it or after it: this is its line, for it holds the reason. */
  function breakDown({ errorCode, errorReport, traceback }: BodyOf<'errorCode'>): void {
    if (errorCode !== 0) log.error({ errorCode, traceback }, `OCPS ${instance} is in FAULT: ${errorReport}`)
  }

  function settle({ jobId, pipeline, attempt, outcome: { kind, code, message } }: JobResult): void {
    if (!FAILED.has(kind)) return
    log.warn({ jobId, pipeline, attempt, outcome: kind, code }, `job ${jobId} ${IN_WORDS[kind]}: ${message}`)
  }
}

type BodyOf<T extends Event['topic']> = Extract<Event, { topic: T }>['body']

const IN_WORDS: Record<OutcomeKind, string> = {
  succeeded: 'succeeded',
  failed: 'failed',
  timedOut: 'ran out of time',
  aborted: 'was aborted',
  lost: 'was lost',
  skipped: 'was skipped',
}

const FAILED: ReadonlySet<OutcomeKind> = new Set(['failed', 'timedOut', 'lost'])

function stateOf(summaryState: number): string {
  return Object.entries(SUMMARY_STATE).find(([, number]) => number === summaryState)?.[0] ?? String(summaryState)
}
