import { describe, expect, test } from 'vitest'
import { createKeeping } from '../../src/night/keeping.ts'
import { createNight as createShown, type Night as Shown } from '../../src/night/night.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { toLine } from '../../src/journal/lines.ts'
import { aConfiguration } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/* How much of a journal the inspector keeps, and that whoever comes can always begin with it. */

const BOUNDS = { linesMax: 100, foldedAtOnce: 40, dropEvery: 10 }

async function busyNight(jobs: number): Promise<Night> {
  const night = await createNight({ configuration: aConfiguration({ queueDepthMax: 1_000 }) })
  await night.enable()
  for (let count = 0; count < jobs; count += 1) {
    const dataId = { obsid: `AT_O_20261122_${count}` }
    const ack = await night.command('processData', {
      dataId,
      pipeline: 'quicklook',
      group: { id: 'visit', expected: 999 },
    })
    if (count % 3 === 0) await night.succeeds(ack?.jobIds?.[0] ?? '')
  }
  return night
}

function shown(lines: readonly string[]): Shown {
  const page = createShown('LATISS')
  for (const line of lines) page.apply(JSON.parse(line) as Entry)
  return page
}

const open = ({ jobs }: Shown) =>
  [...jobs.values()].filter(({ isOpen }) => isOpen).map(({ jobId, state }) => [jobId, state])

describe('the lines that are kept', () => {
  test('have an end where the instance is never quiet, and show the same open jobs, groups and timers as the whole journal', async () => {
    const night = await busyNight(200)
    const lines = night.entries().map(toLine)
    const keeping = createKeeping('LATISS', BOUNDS)
    let most = 0
    for (const line of lines) {
      keeping.keep(line)
      most = Math.max(most, keeping.lines.length)
    }
    expect(lines.length).toBeGreaterThan(300)
    expect(most).toBeLessThan(160)
    expect(keeping.lines[0]?.isQuiescent).toBe(true)
    const whole = shown(lines)
    const kept = shown(keeping.lines.map(({ line }) => line))
    expect(open(kept)).toEqual(open(whole))
    expect(kept.world.whole()).toEqual(whole.world.whole())
  })

  test('begin with the mark of the journal where there is one', async () => {
    const night = await busyNight(0)
    const quiet = night.engine().world.quiet()
    const keeping = createKeeping('LATISS', BOUNDS)
    for (let n = 1; n <= 140; n += 1) {
      const what =
        n === 60 ? { type: 'engine.quiescent', ...quiet, answers: [] } : { type: 'clock.due', address: 'csc' }
      keeping.keep(JSON.stringify({ n, at: n, door: n === 60 ? 'engine' : 'clock', from: 'test', what }))
    }
    expect(keeping.lines[0]).toMatchObject({ n: 60, isQuiescent: true })
    expect(keeping.lastN).toBe(140)
  })

  test('have no hole: what does not follow is not taken', () => {
    const keeping = createKeeping('LATISS', BOUNDS)
    const line = (n: number) => `{"n":${n},"at":1,"door":"clock","what":{"type":"clock.due"}}`
    expect([keeping.keep(line(1), false), keeping.keep(line(3), false), keeping.keep(line(2), false)]).toEqual([
      'kept',
      'hole',
      'kept',
    ])
    expect(keeping.lines.map(({ n }) => n)).toEqual([1, 2])
  })
})
