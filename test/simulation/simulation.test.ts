import { describe, expect, test } from 'vitest'
import { kindOf, play } from './play.ts'
import { shrink } from './shrink.ts'
import { transcriptOf } from './transcript.ts'

/*
 * A number of seeded nights chosen to take well under a minute on two cores; `npm run simulate -- --seeds 10000` plays
 * more. Whatever fails here prints its seed.
 */

// Multiples of ten go through the engine itself (play.ts); the others step its world directly.
const FROM = 1
const NIGHTS = 60
const STEPS = 1_000
// A part of the nights each, so that a failure says soon where it is.
const PART = 10
// Nights that broke a promise once, and what was wrong: 1117 and 1243, what was said again after a death stood twice in
// the list of what was said.
const ONCE_BROKEN = [1117, 1243]

describe('simulated nights', () => {
  for (let first = FROM; first < FROM + NIGHTS; first += PART)
    test(`nights ${first} to ${first + PART - 1} keep every promise after every entry`, async () => {
      for (let seed = first; seed < first + PART; seed++) {
        const played = await play({ seed, kind: kindOf(seed), steps: STEPS })
        if (played.violation) expect.fail(transcriptOf(await shrink(played), STEPS))
        expect(played.steps).toBeGreaterThanOrEqual(STEPS)
        expect(played.jobs).toBeGreaterThan(10)
      }
    }, 120_000) // Ten nights take some seconds; a loaded machine a multiple of that.

  test('nights that broke a promise once keep them all', async () => {
    for (const seed of ONCE_BROKEN) {
      const { violation } = await play({ seed, kind: kindOf(seed), steps: STEPS })
      expect(violation, `seed ${seed}`).toBeNull()
    }
  }, 120_000)

  test('nights through the engine itself are quiet or written down whole while they last, and begin again from there', async () => {
    const marks = new Set<string>()
    for (let seed = 10; seed <= 50; seed += 10) {
      const { lines, lives } = await play({ seed, kind: 'whole', steps: STEPS })
      expect(lives).toBeGreaterThan(1)
      for (const line of lines())
        marks.add(/"what":{"type":"(engine[.]quiescent|engine[.]checkpoint)"/.exec(line)?.[1] ?? '')
    }
    expect([...marks].sort()).toEqual(['', 'engine.checkpoint', 'engine.quiescent'])
  }, 120_000)

  test('the same seed is the same night, entry by entry', async () => {
    for (const kind of ['direct', 'whole'] as const) {
      const [one, other] = [await play({ seed: 7, kind, steps: 300 }), await play({ seed: 7, kind, steps: 300 })]
      expect(other.lines()).toEqual(one.lines())
    }
  })

  test('a night that fails is shrunk to the actions it takes', async () => {
    // A night without a bug has nothing to shrink: here the promise is broken by an action that says so.
    const failing = await play({ seed: 3, kind: 'direct', steps: 400, isTrap: ({ name }) => name === 'abort' })
    expect(failing.violation).not.toBeNull()
    const small = await shrink(failing)
    expect(small.actions.map(({ name }) => name)).toEqual(['abort'])
    expect(transcriptOf(small, 400)).toContain('npm run simulate -- --seeds 1 --from 3')
  })
})
