import { appendFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { connectNats } from '../../src/bus/nats.ts'
import { createRandom } from '../../src/sim/random.ts'
import { INSTANCE } from './world.ts'

/**
 * The script's side of chaos, in a process of its own: sends commands at a steady rate, each under one message id until
 * it is answered for good, and writes down what was sent and what was acknowledged. Told to stop it sends nothing new,
 * and says when everything is answered.
 */
export interface Sent {
  readonly what: 'sent'
  readonly id: string
  readonly command: 'processData' | 'abortJob' | 'retry' | 'pause' | 'resume'
  readonly pipeline: string
  readonly group: string | null
  /** The job that is to be stopped or run again; null: this is about none. */
  readonly of: string | null
}

export interface Acknowledged {
  readonly what: 'acknowledged'
  readonly id: string
  readonly ack: number
  readonly result: string
  readonly jobIds: readonly string[]
}

const [, , url = '', file = '', seed = '1'] = process.argv
const random = createRandom(Number(seed), 'load')
const bus = await connectNats({ url, name: 'chaos.load', waitForServer: true })

/** An observing script sends a command every few seconds; this is a busy night in a minute. */
const TICK_MS = 80
/** Who is not answered asks again. */
const ANSWER_MS = 1_500
/** More unanswered at once than this would only measure the client. */
const OPEN_MAX = 300
const GROUP_EVERY = 12
/** What a script or an operator does besides; so many ticks apart, none a multiple of another. */
const PAUSE_EVERY = 170
const PAUSED_MS = 700
const IDLE_EVERY = 290
const IDLE_MS = 4_000
/** A member that comes when its group was combined long ago, as a rule. */
const LATE_EVERY = 5
const LATE_MS = 6_000
/** Of the jobs that take long so many in a hundred are stopped, a moment after they were accepted. */
const ABORTED = 0.3
const ABORT_MS = 1_500
/** Of the jobs that fail so many in a hundred are run again. */
const RETRIED = 0.15
const RETRY_MS = 2_000

type Policy = 'partial' | 'skip' | 'fail'

let stopping = false
let serial = 0
let ticks = 0
const open = new Set<Promise<unknown>>()
process.on('message', () => {
  stopping = true
})

for (;;) {
  if (stopping) break
  await delay(TICK_MS)
  if (open.size >= OPEN_MAX) continue
  ticks += 1
  if (ticks % GROUP_EVERY === 0) sendGroup(ticks / GROUP_EVERY)
  else if (ticks % PAUSE_EVERY === 0) pause()
  else send(pipelineOf(random.uniform()), null)
  if (ticks % IDLE_EVERY === 0) await delay(IDLE_MS)
}
while (open.size > 0) await Promise.all(open)
process.send?.({ drained: serial })
await bus.close()
process.disconnect()

function pipelineOf(u: number): string {
  // A long one takes a slot of eight for seven seconds: one in two seconds leaves the others room.
  if (u < 0.04) return 'long'
  if (u < 0.07) return u < 0.05 ? 'fifoErr' : u < 0.06 ? 'fifoOut' : 'sparse'
  return u < 0.5 ? 'quick' : u < 0.65 ? 'fail' : u < 0.9 ? 'metrics' : 'leaver'
}

/** Every third one has a member that fails, under each of the policies in turn: its name says what is to come of it. */
function sendGroup(nth: number): void {
  const policy: Policy = (['partial', 'skip', 'fail'] as const)[Math.floor(nth / 3) % 3] ?? 'partial'
  const isWhole = nth % 3 !== 0
  const id = `${isWhole ? 'complete' : policy}-${nth}`
  for (const pipeline of ['quick', isWhole ? 'metrics' : 'fail', 'quick'])
    send(pipeline, { id, expected: 3, policy, pipeline: 'stack' })
  if (isWhole && nth % LATE_EVERY === 0) later(LATE_MS, () => send('quick', id))
}

function send(
  pipeline: string,
  group: { id: string; expected: number; policy: Policy; pipeline: string } | string | null,
): void {
  const obsid = `AT_O_20261122_${String(serial + 1).padStart(6, '0')}`
  const groupId = typeof group === 'string' ? group : (group?.id ?? null)
  const answered = ask(
    'processData',
    { dataId: { obsid }, pipeline, ...(group !== null && { group }) },
    pipeline,
    groupId,
  )
  if (pipeline === 'long' && random.uniform() < ABORTED) void answered.then(ack => stopOne(ack))
  if (pipeline === 'fail' && groupId === null && random.uniform() < RETRIED) void answered.then(ack => runAgain(ack))
}

function stopOne({ jobIds: [jobId] }: Acknowledged): void {
  if (jobId !== undefined) later(ABORT_MS, () => void ask('abortJob', { jobId }, '', null, jobId))
}

function runAgain({ jobIds: [jobId] }: Acknowledged): void {
  if (jobId !== undefined) later(RETRY_MS, () => void ask('retry', { jobId }, 'fail', null, jobId))
}

/** No new job starts for a moment; that it goes on again is sent in any case. */
function pause(): void {
  void ask('pause', {}, '', null).then(() => later(PAUSED_MS, () => void ask('resume', {}, '', null)))
}

/** Also when the load is told to end meanwhile: a queue that stays paused would settle nothing. */
function later(ms: number, act: () => void): void {
  const done: Promise<void> = delay(ms)
    .then(act)
    .finally(() => open.delete(done))
  open.add(done)
}

function ask(
  command: Sent['command'],
  body: object,
  pipeline: string,
  group: string | null,
  of: string | null = null,
): Promise<Acknowledged> {
  serial += 1
  const id = `load-${serial}`
  note({ what: 'sent', id, command, pipeline, group, of })
  const answered = until(id, command, JSON.stringify(body))
  const done: Promise<unknown> = answered.finally(() => open.delete(done))
  open.add(done)
  return answered
}

/** The same id again and again until an answer that is final. */
async function until(id: string, command: string, body: string): Promise<Acknowledged> {
  for (;;) {
    const answer = await bus
      .request(`ocps.${INSTANCE}.cmd.${command}`, body, {
        timeoutMs: ANSWER_MS,
        headers: { 'Nats-Msg-Id': id, 'Ocps-Identity': 'chaos' },
      })
      .catch(() => null)
    const ack =
      answer === null ? null : (JSON.parse(Buffer.from(answer.body).toString()) as Omit<Acknowledged, 'what' | 'id'>)
    if (ack && ack.ack !== 301) {
      const acknowledged = { what: 'acknowledged', id, ack: ack.ack, result: ack.result, jobIds: ack.jobIds } as const
      note(acknowledged)
      return acknowledged
    }
    await delay(100)
  }
}

function note(line: Sent | Acknowledged): void {
  appendFileSync(file, `${JSON.stringify(line)}\n`)
}
