import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { JobResult } from '../../machines/domain/announcements.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { Emission, JobMessage } from '../../machines/domain/messages.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { Pipeline, RetryClass } from '../../machines/domain/pipeline.ts'
import type { ExecutorReport } from '../../machines/domain/reports.ts'
import type { StartOrder } from '../../machines/ports.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { Actor } from '../../src/engine/world.ts'
import type { Asked, Plan } from './asked.ts'
import { linesOf, said, type Said } from './contents.ts'
import { isIn } from './isIn.ts'
import type { Processes } from './processes.ts'
import type { PromiseName } from './violation.ts'
import type { Watch } from './watch.ts'

/**
 * Jobs with pencil and paper: who was asked for, what each has to run, how often and how long, and why it had to end as
 * it did. What a job has to be comes from the commands (asked.ts), what its processes did from the processes; of the
 * machine only its states are read, and what it says and orders is held against the book.
 */
export interface JobBook {
  stepped(actor: Actor, event: EventObject, before: AnyMachineSnapshot | null, emissions: readonly Emission[]): void
  result(body: JobResult): void
  ordered(order: StartOrder): void
  /** A gather's own job will be opened. */
  expect(plan: Plan): void
  readonly outcomeOf: (jobId: string) => OutcomeKind | undefined
  planOf(jobId: string): Plan | undefined
  /** What its last process reported, of a job that has settled. */
  reported(jobId: string): Said
  /** Its machine is broken on purpose. */
  sabotage(jobId: string): void
  isSabotaged(jobId: string): boolean
  readonly accepted: ReadonlySet<string>
  readonly settled: ReadonlyMap<string, OutcomeKind>
}

interface Course {
  readonly plan: Plan
  readonly acceptedAt: number
  /** In the chain of pipelines. */
  place: number
  attempt: number
  /** Attempts with the present pipeline. */
  tries: number
  /** When its time limit began to run; null: it does not. */
  began: number | null
  /** When it began to wait: for the data, or for its next attempt. */
  waitsSince: number
  started: number | null
  /** The moment of what it heard last, as it was written down. */
  at: number
  stopped: 'aborted' | 'timedOut' | null
  mayRetry: boolean
  reason: OutcomeKind | null
  /** Lines of the present attempt that were passed on. */
  lines: number
}

interface Options {
  readonly asked: Asked
  readonly processes: Processes
  readonly watch: Watch
  readonly configuration: () => Configuration | null
  readonly broken: (promise: PromiseName, evidence: string) => void
}

// The locator answers from memory; the machine gives it as long.
const LOOK_MS = 5_000

export function createJobBook({ asked, processes, watch, configuration, broken }: Options): JobBook {
  const settled = new Map<string, OutcomeKind>()
  const attempts = new Map<string, number>()
  const courses = new Map<string, Course>()
  const plans = new Map<string, Plan>()
  const accepted = new Set<string>()
  const expected = new Map<string, Plan>()
  const sabotaged = new Set<string>()

  return {
    accepted,
    settled,
    outcomeOf: jobId => settled.get(jobId),
    sabotage: jobId => void sabotaged.add(jobId),
    isSabotaged: jobId => sabotaged.has(jobId),
    expect: plan => void expected.set(plan.jobId, plan),
    planOf: jobId => plans.get(jobId),
    reported: jobId => said(processes.find(jobId, attempts.get(jobId) ?? 0)),
    stepped(actor, heard, before, emissions) {
      const { snapshot } = actor
      const { jobId, attempt, times } = snapshot.context as JobContext
      if (before === null) return open(jobId, times.accepted)
      const course = courses.get(jobId)
      if (course === undefined || sabotaged.has(jobId)) return
      course.at = (heard as EventObject & { at: number }).at
      hear(course, heard, before, snapshot)
      for (const emission of emissions) {
        if (emission.type === 'executor.start' && attempt !== course.attempt)
          broken('one start per attempt', `${jobId} begins attempt ${attempt}, which should be ${course.attempt}`)
        if (emission.type === 'telemetry') passOn(course, emission)
      }
      if (settled.has(jobId) && before.status === 'done')
        broken('one settlement', `${jobId} heard ${heard.type} after it had settled`)
    },
    ordered(order) {
      const course = courses.get(order.jobId)
      if (course !== undefined && !sabotaged.has(order.jobId)) checkOrder(course, order)
    },
    result(body) {
      const { jobId, outcome } = body
      if (settled.has(jobId)) broken('one settlement', `${jobId} settled a second time, ${outcome.kind}`)
      if (!accepted.has(jobId)) broken('accepted is settled or open', `${jobId} settled but was never accepted`)
      settled.set(jobId, outcome.kind)
      attempts.set(jobId, body.attempt)
      const course = courses.get(jobId)
      courses.delete(jobId)
      if (course === undefined || sabotaged.has(jobId)) return
      if (outcome.kind !== course.reason)
        broken(
          'true outcome',
          `${jobId} ended as ${outcome.kind} (${outcome.message}); the first reason was ${course.reason ?? 'none'}`,
        )
      checkResult(course, body)
      if (outcome.kind !== 'succeeded' && !course.plan.isGather) asked.shelve(course.plan, course.acceptedAt)
    },
  }

  function open(jobId: string, at: number): void {
    accepted.add(jobId)
    const inForce = configuration()
    const plan = expected.get(jobId) ?? (inForce === null ? undefined : asked.plan(jobId, inForce))
    if (plan === undefined) return broken('as asked', `${jobId} was opened and nobody asked for it`)
    plans.set(jobId, plan)
    courses.set(jobId, {
      plan,
      acceptedAt: at,
      place: 0,
      attempt: 1,
      tries: 1,
      began: null,
      waitsSince: watch.now(),
      started: null,
      at,
      stopped: null,
      mayRetry: true,
      reason: null,
      lines: 0,
    })
  }

  function hear(course: Course, heard: EventObject, before: AnyMachineSnapshot, after: AnyMachineSnapshot): void {
    const event = heard as ExecutorReport | JobMessage | { type: 'actor.ended' }
    const isProcess = isIn(before, 'active') || isIn(before, 'stopping')
    if ('attempt' in event && (event.attempt !== course.attempt || !isProcess)) return
    switch (event.type) {
      case 'slot.granted':
        return begin(course)
      case 'job.abort':
        course.mayRetry = false
        if (isIn(before, 'active')) course.stopped = 'aborted'
        else if (!isIn(before, 'stopping')) settle(course, after, 'aborted')
        return
      case 'executor.started':
        course.started ??= course.at
        course.began ??= watch.now()
        return
      case 'executor.exited':
        return end(course, after, 'exited', ...byItself(event))
      case 'executor.startFailed':
        return end(course, after, 'startFailed', 'failed', 'startFailed')
      case 'executor.lost':
        return end(course, after, 'lost', 'lost', 'lost')
      case 'data.present':
      case 'data.located':
      case 'data.absent':
      case 'actor.ended':
        if (after.status === 'done') skip(course, event.type)
        // Its patience begins when all it waited for have ended.
        else if (!isIn(before, 'held.awaitingData')) course.waitsSince = watch.now()
        return
      // Each is held against its line when it is passed on.
      case 'executor.metric':
      case 'executor.dataset':
      case 'executor.progress':
      case 'executor.verdict':
      case 'executor.badReport':
        return
      default:
        if (heard.type.startsWith('xstate.after.')) fire(course, heard.type.split('.')[2] ?? '', before, after)
    }
  }

  function begin(course: Course): void {
    const { jobId, after, capacity } = course.plan
    for (const { jobId: other, requires } of after) {
      const kind = settled.get(other) ?? (sabotaged.has(other) ? 'failed' : undefined)
      if (kind === undefined || (requires === 'success' && kind !== 'succeeded'))
        broken(
          'as asked',
          `${jobId} begins after ${other}, which ${kind ?? 'has not settled'}; ${requires} is required`,
        )
    }
    course.stopped = null
    course.reason = null
    course.lines = 0
    // Where it may wait for others at the executor, its time begins with its process.
    course.began = capacity === undefined ? watch.now() : null
  }

  function fire(course: Course, timer: string, before: AnyMachineSnapshot, after: AnyMachineSnapshot): void {
    const { plan, began, waitsSince, tries } = course
    const { jobId, readiness } = plan
    switch (timer) {
      case 'timeLimit':
        if (isIn(after, 'stopping') && isIn(before, 'active')) {
          course.stopped = 'timedOut'
          if (began === null) broken('durations', `${jobId} is stopped for its time before it began`)
          else watch.took(`${jobId} is stopped for its time`, began, limitOf(course), broken)
        }
        return
      case 'backoff':
        watch.took(`${jobId} tries again`, waitsSince, pipelineOf(course).retries.backoffMs * 2 ** (tries - 1), broken)
        course.tries += 1
        course.attempt += 1
        return
      case 'patience':
        watch.took(
          `${jobId} is skipped`,
          waitsSince,
          readiness.policy === 'waitFor' ? readiness.waitMs : LOOK_MS,
          broken,
        )
        skip(course, timer)
    }
  }

  function end(
    course: Course,
    after: AnyMachineSnapshot,
    by: 'exited' | 'startFailed' | 'lost',
    kind: OutcomeKind,
    how: RetryClass | null,
  ): void {
    const { plan, stopped, mayRetry, began, place, attempt } = course
    const word = processes.find(plan.jobId, attempt)?.words.at(-1)
    if (word?.type !== `executor.${by}`)
      broken(
        'true outcome',
        `${plan.jobId} attempt ${attempt} is told ${by}; of its process is known ${word?.type ?? 'nothing'}`,
      )
    if (stopped === null && began !== null) watch.tookAtMost(`${plan.jobId} runs`, began, limitOf(course), broken)
    const { retries } = pipelineOf(course)
    const again = stopped === null ? how : stopped === 'timedOut' && mayRetry ? 'timedOut' : null
    course.began = null
    if (again !== null && course.tries < retries.attemptsMax && retries.on.includes(again)) {
      course.waitsSince = watch.now()
      if (!isIn(after, 'backingOff')) unlike(course, after, `try again after ${kind}`)
    } else if (again !== null && place + 1 < plan.chain.length) {
      Object.assign(course, { place: place + 1, tries: 1, attempt: course.attempt + 1 })
      if (!isIn(after, 'queued')) unlike(course, after, `fall back on ${pipelineOf(course).name} after ${kind}`)
    } else settle(course, after, stopped ?? kind)
  }

  function settle(course: Course, after: AnyMachineSnapshot, kind: OutcomeKind): void {
    course.reason = kind
    if (after.status !== 'done') unlike(course, after, `settle as ${kind}`)
  }

  function skip(course: Course, why: string): void {
    const { jobId, after, readiness } = course.plan
    course.reason = 'skipped'
    const isShort = after.some(
      ({ jobId: other, requires }) => requires === 'success' && settled.get(other) !== 'succeeded',
    )
    if (!isShort && readiness.policy === 'runNow')
      broken('as asked', `${jobId} is skipped on ${why} although all it waits for is as required`)
  }

  function unlike({ plan }: Course, { value }: AnyMachineSnapshot, should: string): void {
    broken('as asked', `${plan.jobId} is ${JSON.stringify(value)} where it should ${should}`)
  }

  function passOn(course: Course, { topic, body }: Extract<Emission, { type: 'telemetry' }>): void {
    const { jobId } = course.plan
    const lines = linesOf(processes.find(jobId, course.attempt))
    const line = lines[course.lines++]
    if (line === undefined || line.type !== `executor.${topic}` || !holds(line, body))
      broken(
        'contents are true',
        `${jobId} passes on ${topic} ${JSON.stringify(body)} as line ${course.lines}, which is ${JSON.stringify(line)}`,
      )
  }

  function checkOrder(course: Course, order: StartOrder): void {
    const { plan } = course
    const { jobId, dataId, version, configFile } = plan
    const pipeline = pipelineOf(course)
    const differs = (name: string, found: unknown, wanted: unknown) => {
      if (JSON.stringify(found) !== JSON.stringify(wanted))
        broken(
          'as asked',
          `${jobId} is ordered with ${name} ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`,
        )
    }
    differs('pipeline', order.pipeline.name, pipeline.name)
    differs('data', order.dataId, dataId)
    differs('version', order.version, version)
    differs('configuration file', order.configFile, configFile)
    differs('capacity', order.capacity, plan.capacity)
    if (order.attempt === course.attempt && course.tries > pipeline.retries.attemptsMax)
      broken(
        'as asked',
        `${jobId} runs ${pipeline.name} ${course.tries} times; ${pipeline.retries.attemptsMax} are allowed`,
      )
  }

  function checkResult(course: Course, body: JobResult): void {
    const { plan, place, attempt, acceptedAt, started, at } = course
    const { chain, version, commandId, retryOf, dataId } = plan
    const last = said(processes.find(plan.jobId, attempt))
    const wanted = {
      dataId,
      pipeline: pipelineOf(course).name,
      version,
      commandId,
      attempt,
      fellBackFrom: chain.slice(0, place).map(({ name }) => name),
      retryOf,
      metrics: last.metrics,
      datasets: last.datasets,
      verdict: last.verdict,
    }
    for (const [name, value] of Object.entries(wanted)) {
      const found = body[name as keyof typeof wanted]
      if (JSON.stringify(found) !== JSON.stringify(value))
        broken(
          'contents are true',
          `the result of ${plan.jobId} has ${name} ${JSON.stringify(found)} instead of ${JSON.stringify(value)}`,
        )
    }
    const { times } = body
    if (times.accepted !== acceptedAt || times.started !== started || times.settled !== at)
      broken(
        'contents are true',
        `the result of ${plan.jobId} has times ${JSON.stringify(times)} instead of ${acceptedAt}, ${started}, ${at}`,
      )
  }
}

function pipelineOf({ plan, place }: Course): Pipeline {
  const pipeline = plan.chain[place]
  if (pipeline === undefined) throw new Error(`the book has no pipeline ${place} for ${plan.jobId}`)
  return pipeline
}

function limitOf(course: Course): number {
  return course.place === 0 ? course.plan.timeLimitMs : pipelineOf(course).timeLimitMs
}

function byItself({
  exitCode,
}: Extract<ExecutorReport, { type: 'executor.exited' }>): [OutcomeKind, RetryClass | null] {
  return exitCode === 0 ? ['succeeded', null] : ['failed', exitCode ?? 'signal']
}

function holds(line: object, body: object): boolean {
  return Object.entries(body).every(([name, value]) => (line as Record<string, unknown>)[name] === value)
}
