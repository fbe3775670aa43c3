import { createInspector, type StatelyInspectionEvent } from '@statelyai/inspect'
import { createActor, type EventObject } from 'xstate'
import { describe, expect, test } from 'vitest'
import { machines, type MachineKind } from '../../machines/index.ts'
import { begin, step } from '../../src/stepping/step.ts'
import { choiceOf } from '../../src/inspector/stately/choice.ts'
import { type Fold } from '../../src/inspector/stately/fold.ts'
import {
  actorMessage,
  type ActorMessage,
  eventMessage,
  type EventMessage,
  type Shown,
  snapshotMessage,
  type SnapshotMessage,
} from '../../src/inspector/stately/messages.ts'
import { ACTORS_MAX, createOutbox, type Outbox, STEPS_MAX } from '../../src/inspector/stately/outbox.ts'
import { eventually } from '../bus/eventually.ts'
import { breaking, NIGHTFALL } from '../harness.ts'
import { enabled, folded, process } from './statelyGiven.ts'

/*
 * What viewers of the @statelyai/inspect family are sent: held against that package, against the engine, and against a
 * viewer that does not keep up.
 */

type Message = ActorMessage | EventMessage | SnapshotMessage

describe('the messages', () => {
  test('say of a machine what the package says of it, in the same fields', async () => {
    const theirs: StatelyInspectionEvent[] = []
    const inspector = createInspector({ send: message => theirs.push(message) }, { serializationDepthLimit: 100 })
    const input = { kind: 'queue', instance: 'LATISS', at: NIGHTFALL } as const
    const event = { type: 'queue.open', at: NIGHTFALL } as const
    const actor = createActor(machines.queue, { id: 'queue', input, inspect: inspector.inspect })
    actor.start()
    actor.send(event)
    await eventually('the package has sent all', () => theirs.length === 5)

    const first = begin(machines.queue, input).snapshot
    const opened = aStep('queue', {
      isFirst: true,
      event: { type: 'xstate.init', input } as EventObject,
      snapshot: first,
    })
    const next = aStep('queue', { n: 2, event, snapshot: step(machines.queue, first, event).snapshot })
    const ours = [
      actorMessage('LATISS', opened),
      ...[opened, next].flatMap(shown => [eventMessage(shown), snapshotMessage(shown)]),
    ]
    expect(theirs.map(({ type }) => type)).toEqual(ours.map(({ type }) => type))
    for (const [index, message] of ours.entries()) {
      const their = JSON.parse(JSON.stringify(theirs[index])) as Record<string, unknown>
      const our = JSON.parse(JSON.stringify(message)) as Record<string, unknown>
      expect(Object.keys(our)).toEqual(expect.arrayContaining(Object.keys(their)))
      expect([our['_version'], our['event']]).toEqual([their['_version'], their['event']])
      if (message.type === '@xstate.snapshot') expect(our['snapshot']).toEqual(their['snapshot'])
      if (message.type === '@xstate.actor')
        expect(JSON.parse(String(our['definition']))).toEqual(JSON.parse(String(their['definition'])))
    }
  })

  test('carry the time and the number of the journal entry, and an id of their own', async () => {
    const night = await enabled()
    await process(night, 'AT_O_20261122_000017')
    const { steps } = folded(night)
    const messages = steps.flatMap(shown => [eventMessage(shown), snapshotMessage(shown)])
    expect(new Set(messages.map(({ id }) => id)).size).toBe(messages.length)
    const times = new Map(night.entries().map(({ n, at }) => [n, String(at)]))
    for (const { entry, createdAt } of messages.filter(one => one.entry > 0)) expect(createdAt).toBe(times.get(entry))
  })

  test('tell who opened an actor and who told it what it hears', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017')
    await night.succeeds(jobId)
    const { steps } = folded(night)
    const ofJob = steps.filter(({ address }) => address === `job.${jobId}`)
    expect(ofJob.map(({ event, source }) => [event.type, source])).toEqual([
      ['xstate.init', 'queue'],
      ['slot.granted', 'queue'],
      ['executor.started', null],
      ['executor.exited', null],
    ])
    expect(ofJob.map(shown => actorMessage('LATISS', shown).parentId)).toEqual(Array(4).fill('queue'))
    expect(ofJob.map(({ from }) => from)).toEqual(['script', 'script', 'executor', 'executor'])
    const ended = steps.find(({ address, event }) => address === 'queue' && event.type === 'actor.ended')
    expect(ended?.source).toBe(`job.${jobId}`)
    const heard = steps.find(({ event }) => event.type === 'command.processData')
    expect([heard?.address, heard?.source, heard?.from]).toEqual(['csc', null, 'script'])
  })

  test('remember by its id the state a history leads back to', () => {
    const first = begin(machines.queue, { kind: 'queue', instance: 'LATISS', at: NIGHTFALL }).snapshot
    const events = ['queue.open', 'queue.pause', 'queue.close'].map(type => ({
      type,
      at: NIGHTFALL,
      caller: { identity: 'script', id: 'm1', reply: null },
    }))
    const last = events.reduce((snapshot, event) => step(machines.queue, snapshot, event).snapshot, first)
    const { historyValue } = snapshotMessage(aStep('queue', { snapshot: last })).snapshot
    expect(Object.values(historyValue)).toEqual([[{ id: 'queue.open.paused' }]])
  })
})

describe('the fold', () => {
  test('knows every live actor as the engine has it, after every entry', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017', { group: 'night#1' })
    await process(night, 'AT_O_20261122_000018', { group: 'night#1' })
    await night.succeeds(jobId)
    const { fold } = folded(night)
    const { world } = night.engine()
    const kinds = Object.keys(machines) as MachineKind[]
    const there = kinds.flatMap(kind =>
      [...world.actors(kind)].map(({ address, snapshot }) => [address, snapshot.value]),
    )
    expect(new Map([...fold.live].map(([address, { snapshot }]) => [address, snapshot.value]))).toEqual(
      new Map(there as [string, unknown][]),
    )
  })

  test('begins at a quiescent entry with the actors it brings', async () => {
    const night = await enabled()
    await night.succeeds(await process(night, 'AT_O_20261122_000017', { group: 'night#1' }))
    await night.command('closeGroup', { group: 'night#1', pipeline: 'stack' })
    const gather = night.events('jobState').at(-1)
    await night.succeeds(gather?.jobId ?? '')
    // Much work after which nothing is open: the engine writes down what is left.
    for (let index = 0; index < 1_000; index++) await night.command('setLogLevel', { level: index % 2 === 0 ? 10 : 20 })
    const at = night.entries().findLastIndex(({ what }) => what.type === 'engine.quiescent')
    expect(at).toBeGreaterThan(0)
    const { fold, steps } = folded(night, at)
    const whole = folded(night).fold
    const shown = ({ live }: Fold) => [...live.values()].map(({ address, snapshot: { value } }) => [address, value])
    expect(new Map(shown(fold) as [string, unknown][])).toEqual(new Map(shown(whole) as [string, unknown][]))
    for (const { createdAt } of [...fold.live.values()].map(one => actorMessage('LATISS', one)))
      expect(Number(createdAt)).toBeGreaterThanOrEqual(NIGHTFALL)
    expect([...fold.live.keys()]).toContainEqual(expect.stringMatching(/^gather\./))
    expect(steps.filter(({ n }) => n > 0 && n <= at + 1)).toEqual([])
  })

  test('shows an actor that ends as done, with its output, and one whose machine broke as in error', async () => {
    const night = await enabled()
    const good = await process(night, 'AT_O_20261122_000017')
    const bad = await process(night, 'AT_O_20261122_000018')
    await night.succeeds(good)
    await night.started(bad)
    await night.report(breaking(bad))
    const { fold, steps } = folded(night)
    const last = (jobId: string) => steps.findLast(({ address }) => address === `job.${jobId}`)
    const done = last(good)
    const broken = last(bad)
    if (!done || !broken) throw new Error('a job took no step')
    expect(snapshotMessage(done).snapshot).toMatchObject({
      status: 'done',
      output: { jobId: good, outcome: { kind: 'succeeded' } },
    })
    expect(snapshotMessage(broken).snapshot).toMatchObject({
      status: 'error',
      error: expect.stringContaining('job machine:') as string,
    })
    expect([...fold.live.keys()].filter(address => address.startsWith('job.'))).toEqual([])
  })
})

describe('what a viewer is sent', () => {
  const job = (name: number | string, n: number, more: Partial<Shown> = {}) =>
    aStep('job', { n, address: `job.${name}`, ...more })
  const over = { snapshot: { ...aStep('job', {}).snapshot, status: 'done' as const } }

  function outbox(now: readonly Shown[] = []): Outbox {
    return createOutbox({ instance: 'LATISS', isWanted: () => true, now })
  }

  /** Everything that waits, as `actor job.1 @7` or `snapshot job.1 @7 +3`, in the order it is sent. */
  function drained(box: Outbox): string[] {
    const sent: string[] = []
    for (let next = box.next(); next !== null; next = box.next())
      for (const text of next) {
        const message = JSON.parse(text) as Message
        const missed = 'conflated' in message ? ` +${message.conflated}` : ''
        sent.push(`${message.type.replace('@xstate.', '')} ${message.sessionId} @${message.entry}${missed}`)
      }
    return sent
  }

  test('is first every actor as it is now, then every step in order', () => {
    const box = outbox([job(1, 5), job(2, 6)])
    expect(drained(box)).toEqual(['actor job.1 @5', 'actor job.2 @6'])
    box.take(job(2, 7))
    box.take(job(3, 8, { isFirst: true }))
    box.take(job(1, 9, over))
    expect(drained(box)).toEqual([
      'event job.2 @7',
      'snapshot job.2 @7',
      'actor job.3 @8',
      'event job.3 @8',
      'snapshot job.3 @8',
      'event job.1 @9',
      'snapshot job.1 @9',
    ])
  })

  test('is the newest snapshot of each actor, and how many are left out, when it does not keep up', () => {
    const box = outbox([job(1, 1), job(2, 1), job(3, 1)])
    drained(box)
    for (let n = 2; n <= STEPS_MAX + 2; n++) box.take(job(n % 2 === 0 ? 1 : 2, n))
    box.take(job(3, 9_000, over))
    box.take(job(4, 9_001, { isFirst: true }))
    box.take(job(2, 9_002))
    expect(drained(box)).toEqual([
      `snapshot job.1 @${STEPS_MAX + 2} +${STEPS_MAX / 2}`,
      `snapshot job.2 @9002 +${STEPS_MAX / 2}`,
      'event job.3 @9000',
      'snapshot job.3 @9000',
      'actor job.4 @9001',
      'event job.4 @9001',
      'snapshot job.4 @9001',
    ])
    box.take(job(2, 9_003))
    expect(drained(box)).toEqual(['event job.2 @9003', 'snapshot job.2 @9003'])
  })

  test('holds nothing of actors that came and went while it did not look', () => {
    const box = outbox([job('kept', 1)])
    drained(box)
    for (let n = 2; n < STEPS_MAX * 5; n += 2) {
      box.take(job(n, n, { isFirst: true }))
      box.take(job(n, n + 1, over))
    }
    box.take(job('kept', 99_999))
    const sent = drained(box)
    expect(sent.length).toBeLessThan(STEPS_MAX * 3)
    expect(sent.at(-1)).toBe('snapshot job.kept @99999')
    expect(box.actors).toBe(1)
  })

  test('holds one thing per actor for a viewer that never drains, and says that an actor it knows is over', () => {
    const box = outbox([job(1, 1), job(2, 1)])
    drained(box)
    for (let n = 2; n <= STEPS_MAX * 3; n++) box.take(job(1, n))
    box.take(job(1, 99_999, over))
    for (let n = 2; n <= STEPS_MAX; n++) box.take(job(2, n))
    const sent = drained(box)
    expect(sent.filter(text => text.includes('job.1'))).toHaveLength(1)
    expect(sent[0]).toMatch(/^snapshot job\.1 @99999 \+\d+$/)
  })

  test('is bounded in actors; others follow, as they are by then, when there is room', () => {
    const all = Array.from({ length: ACTORS_MAX + 5 }, (_, index) => job(index, 1))
    const box = outbox(all)
    expect([box.actors, drained(box).length]).toEqual([ACTORS_MAX, ACTORS_MAX])
    box.take(job(ACTORS_MAX, 2))
    box.take(job('new', 3, { isFirst: true }))
    expect(drained(box)).toEqual([])
    box.take(job(0, 4, over))
    drained(box)
    box.take(job(ACTORS_MAX, 5))
    box.take(job('new', 6))
    expect(drained(box)).toEqual([`actor job.${ACTORS_MAX} @5`])
  })

  test('can be chosen by actor and by kind', () => {
    const wants = (query: string, shown: Shown) => {
      const choice = choiceOf(new URLSearchParams(query))
      return choice.ok && choice.wants(shown)
    }
    expect(wants('', job(1, 1))).toBe(true)
    expect(wants('actor=job.1,job.2', job(2, 1))).toBe(true)
    expect(wants('actor=job.1&kind=csc', job(2, 1))).toBe(false)
    expect(wants('actor=job.1&kind=csc', aStep('csc', {}))).toBe(true)
    expect(choiceOf(new URLSearchParams('kind=csc,dome'))).toEqual({
      ok: false,
      problem: expect.stringMatching(/^\?kind=dome: there are csc, queue, /) as string,
    })
  })
})

function aStep(kind: MachineKind, more: Partial<Shown>): Shown {
  return {
    n: 1,
    at: NIGHTFALL,
    place: 0,
    address: kind,
    kind,
    isFirst: false,
    parent: null,
    event: { type: 'x' },
    source: null,
    snapshot: { status: 'active', value: 'x', context: {}, historyValue: {}, tags: new Set(), output: undefined },
    said: [],
    door: 'report',
    from: 'executor',
    ...more,
  }
}
