/**
 * For peers that take one job at a time by a call: many at once with a bounded number in flight, and one by one on an
 * idle system.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { now } from './clock.ts'
import type { Ran, Watched, Work } from './port.ts'

export interface Submitted {
  /** The script has seen its result. */
  readonly seen: Promise<unknown>
}

/** Resolves when it is acknowledged. */
export type Submit = (work: Work, id: string) => Promise<Submitted>

/** What a busy script has under way; more only waits in the sockets. */
export const IN_FLIGHT = 64
/** On an idle system: every hop begins with a cold wake-up, as it does at night. */
const PAUSE_MS = 10

export async function runAll(submit: Submit, work: Work, inFlight = IN_FLIGHT): Promise<Ran> {
  const began = now()
  const { accepted, seen } = await submitAll(submit, work, inFlight)
  await Promise.all(seen)
  return { seconds: (now() - began) / 1_000, accepted }
}

/** Resolves when all are acknowledged. */
export async function submitAll(
  submit: Submit,
  work: Work,
  inFlight = IN_FLIGHT,
): Promise<{ accepted: number[]; seen: Promise<unknown>[] }> {
  const accepted: number[] = []
  const seen: Promise<unknown>[] = []
  let next = 0
  const one = async (): Promise<void> => {
    while (next < work.count) {
      next += 1
      const id = freshId()
      const began = now()
      const submitted = await submit(work, id)
      accepted.push(now() - began)
      seen.push(submitted.seen)
    }
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, work.count) }, one))
  return { accepted, seen }
}

export async function watchEach(submit: Submit, work: Work): Promise<Watched> {
  const watched = { submitted: times(), accepted: times(), seen: times() }
  for (let at = 0; at < work.count; at += 1) {
    const id = freshId()
    watched.submitted[id] = now()
    const { seen } = await submit(work, id)
    watched.accepted[id] = now()
    await seen
    watched.seen[id] = now()
    await delay(PAUSE_MS)
  }
  return watched
}

let ids = 0

/** An id no other job of this process has. */
export function freshId(): string {
  ids += 1
  return `BENCH_${ids}`
}

function times(): Record<string, number> {
  return {}
}
