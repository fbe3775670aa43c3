import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { AckBody } from '../../machines/domain/announcements.ts'
import type { Emission, Order } from '../../machines/domain/messages.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import type { Actor, StepObserver, World } from '../../src/engine/world.ts'
import { elapsedAt, type Entry } from '../../src/journal/entry.ts'
import { createAsked } from './asked.ts'
import { createGroupBook } from './groupBook.ts'
import { isIn } from './isIn.ts'
import { createJobBook } from './jobBook.ts'
import type { Processes } from './processes.ts'
import { createQueueBook } from './queueBook.ts'
import { entryOf, rankOf } from './rank.ts'
import { createShelfBook } from './shelfBook.ts'
import type { PromiseName, Violation } from './violation.ts'
import type { Watch } from './watch.ts'

/**
 * What OCPS promises, counted over everything that is journaled, stepped, said and ordered. It never throws: the first
 * violation stays, and whoever runs the night looks for it after every happening.
 */
export interface Promises extends StepObserver {
  violation(): Violation | null
  readonly broken: (promise: PromiseName, evidence: string) => void
  /** Entries of this time are on their way to the journal. */
  stamped(at: number): void
  journaled(entry: Entry): void
  /** Said by the life that leads. */
  said(said: Numbered): void
  ordered(order: Order): void
  /** A life begins that knows of everything said up to this announcement. */
  begins(lastSaid: string | null): void
  /** Everything journaled has been delivered. */
  check(world: World): void
  /** Who was stepped since the last check. */
  readonly touched: ReadonlySet<string>
  /** A job's machine is broken on purpose; the CSC may go to FAULT. */
  sabotage(jobId: string): void
  readonly isSabotaged: () => boolean
  /** Data of an exposure were announced as ingested. */
  ingested(dataKey: string): void
  /** Nobody is to come any more: nothing may be left. */
  conclude(world: World): void
  /** Command ids that were journaled and have no final answer. */
  unanswered(): string[]
  readonly jobIds: () => readonly string[]
}

const IN_PROGRESS = 301

const NOTHING = { slots: 0, prefetch: 0 }

export function createPromises(processes: Processes, watch: Watch): Promises {
  let violation: Violation | null = null
  const broken = (promise: PromiseName, evidence: string): void => {
    violation ??= { promise, evidence }
  }
  const asked = createAsked()
  const queue = createQueueBook(broken)
  const { configuration } = queue
  const jobs = createJobBook({ asked, processes, watch, configuration, broken })
  const groups = createGroupBook({ asked, jobs, watch, configuration, broken })
  const shelf = createShelfBook(asked, broken)
  const touched = new Set<string>()
  const open = new Set<string>()
  const openReplies = new Set<string>()
  const executed = new Set<string>()
  const answered = new Map<string, AckBody>()
  const ingested = new Set<string>()
  const jobIds: string[] = []
  let durable = 0
  let lastAt = 0
  let lastElapsed = 0
  let lastSaid: string | null = null
  let lastRank = 0
  let knownSaid: string | null = null
  let isFaultAllowed = false
  /**
   * How many there were when a start was decided. What is stored together is delivered together, before anything is
   * carried out: it may be ordered, and begin, when the next configuration is there already.
   */
  const whenDecided = new Map<string, { slots: number; prefetch: number }>()
  processes.onBegin(({ order: { jobId, attempt } }) => {
    let taken = 0
    for (const { order } of processes.running()) if (!jobs.isSabotaged(order.jobId)) taken += order.pipeline.slots
    const slots = Math.max(queue.slots(), whenDecided.get(`${jobId} ${attempt}`)?.slots ?? 0)
    if (taken > slots) broken('slots not exceeded', `processes take ${taken} of ${slots} slots when ${jobId} begins`)
  })
  let isAllToBeLookedAt = true

  const emitted = (emission: Emission): void => {
    if (emission.type === 'executor.start')
      whenDecided.set(`${emission.jobId} ${emission.attempt}`, { slots: queue.slots(), prefetch: queue.prefetch() })
    if (emission.type === 'event' && emission.topic === 'jobResult') {
      jobs.result(emission.body)
      open.delete(emission.key)
    }
    if (emission.type !== 'ack' || emission.body.ack === IN_PROGRESS) return
    const { caller, body } = emission
    if (answered.has(caller.id)) broken('one answer', `command ${caller.id} has a second final answer: ${body.result}`)
    answered.set(caller.id, body)
  }

  return {
    violation: () => violation,
    broken,
    touched,
    jobIds: () => jobIds,
    isSabotaged: () => isFaultAllowed,
    sabotage(jobId) {
      isFaultAllowed = true
      jobs.sabotage(jobId)
    },
    ingested: key => void ingested.add(key),
    stamped: at => watch.stamped(at),
    journaled(entry) {
      const { n, door, what } = entry
      if (n !== durable + 1 || entry.at < lastAt || elapsedAt(entry) < lastElapsed)
        broken(
          'entries in order',
          `entry ${n} of ${entry.at} (${elapsedAt(entry)}) follows ${durable} of ${lastAt} (${lastElapsed})`,
        )
      durable = n
      lastAt = entry.at
      lastElapsed = elapsedAt(entry)
      asked.journaled(entry)
      if (door === 'command' && 'caller' in what) {
        if (executed.has(what.caller.id)) broken('one answer', `command ${what.caller.id} is executed twice`)
        executed.add(what.caller.id)
      }
      if (what.type === 'engine.quiescent' && (open.size > 0 || openReplies.size > 0))
        broken(
          'quiet is quiet',
          `entry ${n} says that nothing is open while ${[...open, ...openReplies].join(', ')} are`,
        )
    },
    stepped(actor, event, before, emissions) {
      touched.add(actor.address)
      if ('at' in event) watch.heard(Number(event['at']))
      switch (actor.kind) {
        case 'job': {
          if (before === null) {
            const { jobId } = actor.snapshot.context as JobContext
            open.add(jobId)
            jobIds.push(jobId)
          }
          jobs.stepped(actor, event, before, emissions)
          break
        }
        case 'queue':
          queue.stepped(actor, event, emissions)
          break
        case 'gather':
          groups.stepped(actor, event, before, emissions)
          break
        case 'reply':
          if (actor.snapshot.status === 'done') openReplies.delete(actor.address)
          else openReplies.add(actor.address)
          break
        case 'shelf':
          shelf.stepped(event, emissions)
          break
        // What is looked at is nobody's business here; what was ingested shows in the jobs.
        case 'display':
        case 'ingest':
          break
        case 'csc':
          checkFault(actor, event, before)
          break
      }
      for (const emission of emissions) emitted(emission)
    },
    begins(known) {
      isAllToBeLookedAt = true
      knownSaid = known
      lastSaid = known
      lastRank = known === null ? 0 : rankOf(known)
    },
    said({ id, announcement }) {
      // Refusals at the door and answers repeated have no number.
      if (id === '') return repeated(announcement)
      const rank = rankOf(id)
      if (entryOf(rank) > durable)
        broken('written before said', `${id} is said while the journal ends at entry ${durable}`)
      if (rank <= lastRank) {
        const isCopy = announcement.type === 'ack' && id === lastSaid
        if (!isCopy)
          broken(
            'said once',
            `${id} is said after ${lastSaid}${knownSaid === null ? '' : `; known to have been said: ${knownSaid}`}`,
          )
        return
      }
      lastSaid = id
      lastRank = rank
    },
    ordered(order) {
      if (order.type !== 'executor.start') return
      const { jobId, attempt, pipeline } = order
      jobs.ordered(order)
      if (processes.find(jobId, attempt))
        broken('one start per attempt', `${jobId} attempt ${attempt} is started twice`)
      if (jobs.settled.has(jobId)) broken('one settlement', `${jobId} is started although it has settled`)
      const { slots, prefetch } = whenDecided.get(`${jobId} ${attempt}`) ?? NOTHING
      const room = Math.max(queue.slots() + queue.prefetch(), slots + prefetch)
      let taken = pipeline.slots
      for (const process of [...processes.running(), ...processes.waiting()])
        if (!jobs.isSabotaged(process.order.jobId)) taken += process.order.pipeline.slots
      if (taken > room)
        broken(
          'slots not exceeded',
          `jobs for ${taken} slots are ordered with ${jobId}, of ${queue.slots()} and ${queue.prefetch()} in advance`,
        )
    },
    check,
    conclude(world) {
      isAllToBeLookedAt = true
      check(world)
      const left = [...open, ...openReplies]
      if (left.length > 0)
        broken('all ends', `${left.slice(0, 5).join(', ')} (${left.length}) never ended; ${stateOf(world, left[0])}`)
      const actors = [...world.actors('job')]
      if (actors.length > 0) broken('accepted is settled or open', `${actors[0]?.address} is still there`)
      for (const process of processes.running())
        if (!jobs.isSabotaged(process.order.jobId))
          broken('nothing unknown runs', `${process.order.jobId} attempt ${process.order.attempt} runs for ever`)
    },
    unanswered: () => [...executed].filter(id => !answered.has(id)),
  }

  function repeated(announcement: Numbered['announcement']): void {
    if (announcement.type !== 'ack' || announcement.body.ack === IN_PROGRESS) return
    const { caller, body } = announcement
    const before = answered.get(caller.id)
    if (before === undefined || body.code === 'ID_REUSED') return
    if (before.ack !== body.ack || before.result !== body.result || before.jobIds.join() !== body.jobIds.join())
      broken('one answer', `command ${caller.id} was answered ${before.result}, and sent again ${body.result}`)
  }

  function check(world: World): void {
    for (const address of touched) {
      const actor = world.actor(address)
      if (address.startsWith('job.')) {
        const jobId = address.slice('job.'.length)
        if ((actor !== undefined) !== open.has(jobId))
          broken(
            'accepted is settled or open',
            `${jobId} ${actor ? 'is there although it has settled' : 'is gone and has not settled'}`,
          )
        // Of the others nothing has changed: they are looked at when a life begins and at the end.
        for (const { order } of processes.runningOf(jobId)) checkKnown(world, order.jobId, order.attempt)
      }
      if (actor) checkTimers(actor)
    }
    const { context } = world.actor('queue')?.snapshot ?? {}
    const counted = context as { slotsTaken: number; open: number } | undefined
    if (counted?.slotsTaken !== queue.slotsTaken())
      broken('slots not exceeded', `the queue counts ${counted?.slotsTaken} slots, ${queue.slotsTaken()} are taken`)
    if (counted?.open !== open.size || jobs.accepted.size !== jobs.settled.size + open.size)
      broken(
        'accepted is settled or open',
        `the queue counts ${counted?.open} open jobs; ${jobs.accepted.size} accepted, ${jobs.settled.size} settled, ${open.size} open`,
      )
    if (isAllToBeLookedAt) for (const { order } of processes.running()) checkKnown(world, order.jobId, order.attempt)
    isAllToBeLookedAt = false
    touched.clear()
  }

  function checkKnown(world: World, jobId: string, attempt: number): void {
    if (jobs.isSabotaged(jobId)) return
    const actor = world.actor(`job.${jobId}`)
    const context = actor?.snapshot.context as JobContext | undefined
    const isKnown = actor !== undefined && (isIn(actor.snapshot, 'active') || isIn(actor.snapshot, 'stopping'))
    if (!isKnown || context?.attempt !== attempt)
      broken(
        'nothing unknown runs',
        `a process runs for ${jobId} attempt ${attempt}, which is ${stateOf(world, jobId)}`,
      )
    else if (context.asked.readiness.policy !== 'runNow' && !ingested.has(dataKey(context)))
      broken('data before start', `${jobId} runs although ${dataKey(context)} was not ingested`)
  }

  function checkTimers({ address, snapshot, timers }: Actor): void {
    if (timers.size === 0) return
    for (const timer of timers.keys()) {
      if (!isIn(snapshot, stateOfTimer(timer)))
        broken(
          'timers belong to states',
          `${address} has the timer ${timer} in state ${JSON.stringify(snapshot.value)}`,
        )
    }
  }

  function checkFault(actor: Actor, event: EventObject, before: AnyMachineSnapshot | null): void {
    if (actor.snapshot.value === 'fault' && before?.value !== 'fault' && !isFaultAllowed)
      broken('no fault of its own', `the CSC went to FAULT: ${JSON.stringify(event)}`)
  }
}

const timerStates = new Map<string, string>()

/** `xstate.after.timeLimit.job.active`: what it belongs to follows the machine's name. */
function stateOfTimer(timer: string): string {
  const known = timerStates.get(timer)
  if (known !== undefined) return known
  const state = timer.split('.').slice(4).join('.')
  timerStates.set(timer, state)
  return state
}

function stateOf(world: World, jobId: string | undefined): string {
  const actor = world.actor(`job.${jobId}`)
  return actor ? `${jobId} is ${JSON.stringify(actor.snapshot.value)}` : `${jobId} is not there`
}

function dataKey({ dataId: { obsid, detector } }: JobContext): string {
  return detector === null ? String(obsid) : `${obsid}/${detector}`
}
