import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { JobResult } from '../../machines/domain/announcements.ts'
import type { Emission } from '../../machines/domain/messages.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { JobContext } from '../../machines/job.ts'
import type { Actor } from '../../src/engine/world.ts'
import { isIn } from './isIn.ts'
import type { PromiseName } from './violation.ts'

/**
 * Jobs with pencil and paper: who was accepted, who settled, and why each had to end as it did. It writes the first reason down when it is heard,
 * and holds the result to it.
 */
export interface JobBook {
  stepped(actor: Actor, event: EventObject, before: AnyMachineSnapshot | null, emissions: readonly Emission[]): void
  result(body: JobResult): void
  readonly outcomeOf: (jobId: string) => OutcomeKind | undefined
  /** Its machine is broken on purpose. */
  sabotage(jobId: string): void
  isSabotaged(jobId: string): boolean
  readonly accepted: ReadonlySet<string>
  readonly settled: ReadonlyMap<string, OutcomeKind>
}

export function createJobBook(broken: (promise: PromiseName, evidence: string) => void): JobBook {
  const accepted = new Set<string>()
  const settled = new Map<string, OutcomeKind>()
  const reasons = new Map<string, OutcomeKind>()
  const sabotaged = new Set<string>()

  return {
    accepted,
    settled,
    outcomeOf: jobId => settled.get(jobId),
    sabotage: jobId => void sabotaged.add(jobId),
    isSabotaged: jobId => sabotaged.has(jobId),
    stepped(actor, heard, before, emissions) {
      const { jobId, attempt } = actor.snapshot.context as JobContext
      if (before === null) accepted.add(jobId)
      else note(jobId, heard, before)
      for (const emission of emissions) {
        // An attempt that was stopped for no other reason was stopped for its time.
        if (emission.type === 'executor.stop' && !reasons.has(jobId)) reasons.set(jobId, 'timedOut')
        if (emission.type === 'executor.start') {
          const earlier = before === null ? 0 : (before.context as JobContext).attempt
          if (attempt !== earlier)
            broken('one start per attempt', `${jobId} begins attempt ${attempt} in a step that began in ${earlier}`)
        }
      }
      if (settled.has(jobId) && before !== null && before.status === 'done')
        broken('one settlement', `${jobId} heard ${heard.type} after it had settled`)
    },
    result({ jobId, outcome }) {
      if (settled.has(jobId)) broken('one settlement', `${jobId} settled a second time, ${outcome.kind}`)
      if (!accepted.has(jobId)) broken('accepted is settled or open', `${jobId} settled but was never accepted`)
      settled.set(jobId, outcome.kind)
      if (sabotaged.has(jobId)) return
      const reason = reasons.get(jobId)
      if (outcome.kind !== reason)
        broken(
          'true outcome',
          `${jobId} ended as ${outcome.kind} (${outcome.message}); the first reason was ${reason ?? 'none'}`,
        )
    },
  }

  function note(jobId: string, heard: EventObject, before: AnyMachineSnapshot): void {
    const event = heard as ExecutorReport | { type: 'job.abort' | 'actor.ended' }
    const isRunning = isIn(before, 'active')
    const isStopping = isIn(before, 'stopping')
    const isCurrent = 'attempt' in event && event.attempt === (before.context as JobContext).attempt
    // What was noted while it waited is no reason of this attempt.
    if (heard.type === 'slot.granted' || heard.type.startsWith('xstate.after.backoff'))
      return void reasons.delete(jobId)
    if (isIn(before, 'held') && event.type !== 'job.abort') return void reasons.set(jobId, 'skipped')
    if (event.type === 'job.abort') {
      if (!isStopping) reasons.set(jobId, 'aborted')
      return
    }
    if (!isCurrent || !isRunning) return
    if (event.type === 'executor.exited') reasons.set(jobId, event.exitCode === 0 ? 'succeeded' : 'failed')
    if (event.type === 'executor.startFailed') reasons.set(jobId, 'failed')
    if (event.type === 'executor.lost') reasons.set(jobId, 'lost')
  }
}
