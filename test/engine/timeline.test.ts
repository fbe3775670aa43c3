import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSteppedClock } from '../../src/engine/clock.ts'
import { createTimeline } from '../../src/engine/timeline.ts'
import { elapsedAt } from '../../src/journal/entry.ts'
import { NIGHTFALL } from '../harness.ts'

/*
 * The two times of an entry: what people read, and what durations are measured in. The wall clock is stepped at will.
 */

const HOUR = 3_600_000
const EMPTY = { at: 0, anchor: null }

function begun(last: Parameters<typeof createTimeline>[1] = EMPTY) {
  const clock = createSteppedClock(NIGHTFALL)
  return { clock, timeline: createTimeline(clock, last) }
}

describe('timeline: the two times of an entry', () => {
  test('nobody steps the clock: entries carry the wall time and nothing else', () => {
    const { clock, timeline } = begun()
    expect(timeline.stamp()).toEqual({ at: NIGHTFALL })
    clock.advance(1_234)
    expect(timeline.stamp()).toEqual({ at: NIGHTFALL + 1_234 })
    expect(timeline.elapsed()).toBe(NIGHTFALL + 1_234)
  })

  test('a step forward: the next entry has the true time, and no time has elapsed', () => {
    const { clock, timeline } = begun()
    clock.step(HOUR)
    const entry = timeline.stamp()
    expect(entry).toEqual({ at: NIGHTFALL + HOUR, steppedMs: HOUR })
    expect(elapsedAt(entry)).toBe(NIGHTFALL)
  })

  test('a step back of an hour: entries go on at half the rate and have the true time again after two hours', () => {
    const { clock, timeline } = begun()
    clock.step(-HOUR)
    expect(timeline.stamp()).toEqual({ at: NIGHTFALL })
    clock.advance(10_000)
    expect(timeline.stamp()).toEqual({ at: NIGHTFALL + 5_000, steppedMs: -5_000 })
    for (let minutes = 0; minutes < 120; minutes++) {
      clock.advance(60_000)
      timeline.stamp()
    }
    const entry = timeline.stamp()
    expect(Math.abs(entry.at - clock.now())).toBeLessThanOrEqual(100)
    expect(elapsedAt(entry)).toBe(NIGHTFALL + 2 * HOUR + 10_000)
  })

  test('catching up does not depend on how often something is written', () => {
    const { clock, timeline } = begun()
    clock.step(-HOUR)
    for (let n = 0; n < 10_001; n++) {
      timeline.stamp()
      clock.advance(1)
    }
    expect(timeline.stamp().at).toBe(NIGHTFALL + 5_000)
  })

  test('the clocks are read apart because the process was held up: no step is seen', () => {
    const clock = createSteppedClock(NIGHTFALL)
    const timeline = createTimeline(
      {
        ...clock,
        now() {
          const wall = clock.now()
          clock.advance(500)
          return wall - 500
        },
      },
      { at: NIGHTFALL, anchor: null },
    )
    expect(timeline.stamp()).not.toHaveProperty('steppedMs')
  })

  test('the next process counts on: what the wall clock advanced in between has elapsed, the steps stay', () => {
    const { clock, timeline } = begun()
    clock.step(HOUR)
    const last = timeline.stamp()
    clock.advance(60_000)
    const next = createTimeline(clock, { ...last, anchor: null })
    expect(next.stamp()).toEqual({ at: NIGHTFALL + HOUR + 60_000, steppedMs: HOUR })
    expect(next.elapsed()).toBe(NIGHTFALL + 60_000)
  })

  test('the wall clock went back while no process ran: nothing waits until it has caught up', () => {
    const { clock, timeline } = begun()
    const last = timeline.stamp()
    clock.step(-HOUR)
    const next = createTimeline(clock, { ...last, anchor: null })
    clock.advance(10_000)
    expect(elapsedAt(next.stamp())).toBe(NIGHTFALL + 10_000)
  })

  test.each([-HOUR, HOUR])(
    'on the same run of the machine the next process counts on, though the clock stepped by %d ms',
    ms => {
      const clock = createSteppedClock(NIGHTFALL, 'boot 1')
      const timeline = createTimeline(clock, EMPTY)
      const last = timeline.stamp()
      clock.step(ms)
      clock.advance(10_000)
      const next = createTimeline(clock, { ...last, anchor: timeline.anchor })
      expect(elapsedAt(next.stamp())).toBe(NIGHTFALL + 10_000)
      expect(next.anchor).toEqual(timeline.anchor)
    },
  )

  test('on another machine, or one that was put back to an earlier state, it goes by the wall clock', () => {
    const { timeline } = begun()
    const last = timeline.stamp()
    const clock = createSteppedClock(NIGHTFALL + 10_000, 'boot 2')
    for (const anchor of [
      { boot: 'boot 1', offsetMs: HOUR },
      { boot: 'boot 2', offsetMs: -HOUR },
    ])
      expect(createTimeline(clock, { ...last, anchor }).elapsed()).toBe(NIGHTFALL + 10_000)
  })

  test('whatever the wall clock does: entries never run backwards, durations are those that passed, and wakes come on time', () => {
    const ms = fc.integer({ min: 0, max: 5_000 })
    const step = fc.integer({ min: -2 * HOUR, max: 2 * HOUR })
    const acts = fc.array(fc.oneof(fc.record({ advance: ms }), fc.record({ step }), fc.record({ wake: ms })), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(acts, all => {
        const { clock, timeline } = begun()
        const first = timeline.stamp()
        let last = first
        let passed = 0
        const late: number[] = []
        for (const act of all) {
          if ('advance' in act) clock.advance(act.advance)
          if ('advance' in act) passed += act.advance
          if ('step' in act) clock.step(act.step)
          if ('wake' in act) {
            const due = timeline.elapsed() + act.wake
            timeline.wake(due, () => late.push(timeline.elapsed() - due))
          }
          const entry = timeline.stamp()
          expect(entry.at).toBeGreaterThanOrEqual(last.at)
          expect(elapsedAt(entry) - elapsedAt(first)).toBe(passed)
          expect(
            entry.at,
            'never behind the wall clock by more than a correction NTP makes unseen',
          ).toBeGreaterThanOrEqual(clock.now() - 100)
          last = entry
        }
        expect(late.every(one => one === 0)).toBe(true)
      }),
    )
  })
})
