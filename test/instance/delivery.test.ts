import { describe, expect, test } from 'vitest'
import type { Numbered, Sink } from '../../machines/ports.ts'
import { createSteppedClock } from '../../src/engine/clock.ts'
import { announcementsAfter } from '../../src/instance/catchUp.ts'
import { Delivery, WAITING_MAX } from '../../src/instance/delivery.ts'
import { Outlet } from '../../src/instance/outlet.ts'
import { NIGHTFALL } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/*
 * Sinks of an instance in memory that fail, hang, or were away: each hears everything, in order, and none makes another
 * one wait.
 */

interface Toy extends Sink {
  readonly heard: Numbered[]
  /** What happens instead of being heard; null: nothing. */
  trouble: (() => void | Promise<void>) | null
  kept: string | null
}

function toy(): Toy {
  const sink: Toy = {
    heard: [],
    trouble: null,
    kept: null,
    say(said) {
      if (sink.trouble) return sink.trouble()
      sink.heard.push(said)
      if (said.id !== '') sink.kept = said.id
    },
    flushed: () => Promise.resolve(),
    cursor: () => sink.kept,
  }
  return sink
}

async function announcing(sinks: Readonly<Record<string, Sink>>, given?: Night) {
  const night = given ?? (await createNight({ marked: { quietAfter: 5, checkpointAfter: 12, entriesPerActor: 0 } }))
  const clock = createSteppedClock(NIGHTFALL)
  const lines: string[] = []
  const log = {
    info: (_: object, line: string) => void lines.push(line),
    warn: (_: object, line: string) => void lines.push(line),
    error() {},
  }
  const deliveries = Object.entries(sinks).map(
    ([name, sink]) =>
      new Delivery({
        name,
        sink,
        replay: after => announcementsAfter({ instance: 'LATISS', journal: night.journal }, after),
        whenSure: act => act(),
        clock,
        log,
      }),
  )
  const outlet = await Outlet.open(deliveries, given ? (night.entries().at(-1)?.n ?? 0) : 0)
  let passed = given ? night.said.length : 0
  const pass = () => {
    for (const said of night.said.slice(passed)) outlet.say(said)
    passed = night.said.length
  }
  pass()
  return {
    night,
    clock,
    outlet,
    lines,
    deliveries,
    pass,
    /** A job from beginning to end. */
    job: async (obsid = 'E1') => {
      const { jobIds = [] } = (await night.command('processData', { dataId: { obsid }, pipeline: 'quicklook' })) ?? {}
      pass()
      for (const jobId of jobIds) await night.succeeds(jobId)
      pass()
    },
    caughtUp: async () => {
      for (let turns = 0; deliveries.some(({ isBehind }) => isBehind); turns++) {
        if (turns > 10_000) throw new Error(`it does not catch up: ${lines.join('\n')}`)
        clock.advance(60_000)
        await new Promise(resolve => void setImmediate(resolve))
      }
    },
  }
}

/** Without what the world notes besides. */
function plain({ id, at, announcement }: Numbered): Numbered {
  return { id, at, announcement }
}

/** What went out under a number, each once. */
function idsOf(said: readonly Numbered[]): string[] {
  return [...new Set(said.flatMap(({ id }) => (id === '' ? [] : [id])))]
}

describe('what an instance says', () => {
  test('is heard by each sink in the turn in which it is said, in order', async () => {
    const [one, other] = [toy(), toy()]
    const { night, job } = await announcing({ one, other })
    await night.enable()
    await job()
    expect(one.heard).toEqual(night.said)
    expect(other.heard).toEqual(night.said)
  })

  test('is heard by the others while one sink fails, and by that one later, from where it failed', async () => {
    const [one, other] = [toy(), toy()]
    const { night, job, caughtUp, lines } = await announcing({ one, other })
    await night.enable()
    await job('E1')
    one.trouble = () => {
      throw new Error('no route to the database')
    }
    await job('E2')
    await job('E3')
    expect(other.heard).toEqual(night.said)
    expect(one.heard.length).toBeLessThan(night.said.length)
    expect(lines).toEqual(['the sink one failed: no route to the database; it catches up from the journal'])
    one.trouble = null
    await caughtUp()
    expect(one.heard.map(plain)).toEqual(night.said.map(plain))
    await job('E4')
    expect(one.heard.map(plain)).toEqual(night.said.map(plain))
    expect(lines.at(-1)).toBe('the sink one has caught up')
  })

  test('waits for a sink that takes its time, and is heard in order', async () => {
    const one = toy()
    const { night, job, outlet } = await announcing({ one })
    let go: () => void = () => {}
    let isBusy = false
    one.say = async said => {
      expect(isBusy).toBe(false)
      isBusy = true
      await new Promise<void>(resolve => {
        go = resolve
        setImmediate(resolve)
      })
      isBusy = false
      one.heard.push(said)
    }
    await night.enable()
    await job()
    go()
    await outlet.flushed()
    expect(one.heard).toEqual(night.said)
  })

  test(`is read from the journal by a sink that is more than ${WAITING_MAX} announcements late`, async () => {
    const [slow, other] = [toy(), toy()]
    const { night, job, outlet, caughtUp, lines } = await announcing({ slow, other })
    let release: () => void = () => {}
    slow.trouble = () => new Promise(resolve => (release = resolve))
    await night.enable()
    await job('E1')
    for (let many = 0; many <= WAITING_MAX; many++)
      outlet.say({ id: '', at: 0, announcement: night.said[0]?.announcement ?? raise() })
    expect(lines).toEqual([
      `the sink slow is more than ${WAITING_MAX} announcements late; it catches up from the journal`,
    ])
    await job('E2')
    expect(other.heard.filter(({ id }) => id !== '')).toEqual(night.said)
    slow.trouble = null
    slow.kept = '0.0'
    release()
    await caughtUp()
    expect(idsOf(slow.heard)).toEqual(idsOf(night.said))
  })

  test('is brought to a sink that was away at a restart, from its cursor on, and then what is said', async () => {
    const one = toy()
    const before = await announcing({ one })
    const { night } = before
    await night.enable()
    await before.job('E1')
    before.outlet.close()
    await before.job('E2')
    await before.job('E3')
    await night.restart()
    const after = await announcing({ one, other: toy() }, night)
    // Said before it begins to read, and while it reads.
    await after.job('E4')
    after.outlet.begin()
    await after.job('E5')
    await after.caughtUp()
    await after.job('E6')
    expect(idsOf(one.heard)).toEqual(idsOf(night.said))
    expect(one.heard.length).toBe(idsOf(one.heard).length)
  })

  test('before a sink that keeps no cursor came is not brought to it', async () => {
    const first = await announcing({})
    await first.night.enable()
    const late = toy()
    const { night, outlet, job, caughtUp } = await announcing({ late }, first.night)
    const known = night.said.length
    outlet.begin()
    await job('E1')
    await caughtUp()
    expect(late.heard).toEqual(night.said.slice(known))
  })

  test('is heard by a sink whose cursor is of another journal', async () => {
    const one = toy()
    one.kept = '5000.0'
    const { night, job, deliveries } = await announcing({ one })
    await night.enable()
    await job()
    expect(deliveries.map(({ isBehind }) => isBehind)).toEqual([false])
    expect(one.heard).toEqual(night.said)
  })
})

test('what is left out of a journal behind any announcement is exactly what was said after it', async () => {
  const { night, job } = await announcing({})
  await night.enable()
  for (const obsid of ['E1', 'E2', 'E3', 'E4']) await job(obsid)
  expect(night.entries().some(({ what }) => what.type === 'engine.quiescent')).toBe(true)
  const ids = idsOf(night.said)
  for (const [at, id] of ids.entries()) {
    const again: string[] = []
    for await (const said of announcementsAfter({ instance: 'LATISS', journal: night.journal }, id)) again.push(said.id)
    expect(again, `after ${id}`).toEqual(ids.slice(at + 1))
  }
})

test('only what is said without the engine’s help is left to the journal: a mark holds what the other sinks have not confirmed', async () => {
  const unconfirmed: Numbered[] = []
  const [stream, other] = [{ ...toy(), cursor: () => '3.1', unconfirmed: () => unconfirmed }, toy()]
  other.kept = '2.0'
  const { night } = await announcing({})
  await night.enable()
  const { outlet, deliveries } = await announcing({ stream, other }, night)
  unconfirmed.push(...night.said.slice(0, 2))
  expect(outlet.lastSaid).toBe('3.1')
  expect(outlet.unconfirmed()).toEqual(night.said.slice(0, 2))
  outlet.begin()
  expect(deliveries.map(({ isBehind }) => isBehind)).toEqual([false, true])
  outlet.close()
})

function raise(): never {
  throw new Error('nothing was said')
}
