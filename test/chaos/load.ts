import { appendFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { connectNats } from '../../src/bus/nats.ts'
import { createRandom } from '../../src/sim/random.ts'
import { INSTANCE } from './world.ts'

/**
 * The script's side of chaos, in a process of its own: sends commands at a steady rate, each under one message id until it is answered for good, and writes
 * down what was sent and what was acknowledged. Told to stop it sends nothing new, and says when everything is answered.
 */
export interface Sent {
  readonly what: 'sent'
  readonly id: string
  readonly pipeline: string
  readonly group: string | null
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

let stopping = false
let serial = 0
let ticks = 0
const open = new Set<Promise<void>>()
process.on('message', () => {
  stopping = true
})

for (;;) {
  if (stopping) break
  await delay(TICK_MS)
  if (open.size >= OPEN_MAX) continue
  ticks += 1
  if (ticks % GROUP_EVERY === 0) sendGroup(`G${ticks}`)
  else send(pipelineOf(random.uniform()), null)
}
await Promise.all(open)
process.send?.({ drained: serial })
await bus.close()
process.disconnect()

function pipelineOf(u: number): string {
  // A long one takes a slot of eight for seven seconds: one in two seconds leaves the others room.
  if (u < 0.04) return 'long'
  if (u < 0.07) return u < 0.05 ? 'fifoErr' : u < 0.06 ? 'fifoOut' : 'sparse'
  return u < 0.5 ? 'quick' : u < 0.65 ? 'fail' : u < 0.9 ? 'metrics' : 'leaver'
}

function sendGroup(id: string): void {
  for (const pipeline of ['quick', 'metrics', 'quick']) send(pipeline, { id, expected: 3, pipeline: 'stack' })
}

function send(pipeline: string, group: { id: string; expected: number; pipeline: string } | null): void {
  serial += 1
  const id = `load-${serial}`
  const obsid = `AT_O_20261122_${String(serial).padStart(6, '0')}`
  note({ what: 'sent', id, pipeline, group: group?.id ?? null })
  const done = until(id, JSON.stringify({ dataId: { obsid }, pipeline, ...(group && { group }) })).finally(() =>
    open.delete(done),
  )
  open.add(done)
}

/** The same id again and again until an answer that is final. */
async function until(id: string, body: string): Promise<void> {
  for (;;) {
    const answer = await bus
      .request(`ocps.${INSTANCE}.cmd.processData`, body, {
        timeoutMs: ANSWER_MS,
        headers: { 'Nats-Msg-Id': id, 'Ocps-Identity': 'chaos' },
      })
      .catch(() => null)
    const ack =
      answer === null ? null : (JSON.parse(Buffer.from(answer.body).toString()) as Omit<Acknowledged, 'what' | 'id'>)
    if (ack && ack.ack !== 301)
      return note({ what: 'acknowledged', id, ack: ack.ack, result: ack.result, jobIds: ack.jobIds })
    await delay(100)
  }
}

function note(line: Sent | Acknowledged): void {
  appendFileSync(file, `${JSON.stringify(line)}\n`)
}
