import { describe, expect, test } from 'vitest'
import type { MachineKind } from '../../machines/index.ts'
import { createWorld, type World } from '../../src/engine/world.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { aConfiguration } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/*
 * Beginning at a quiescent entry: when nothing is open the engine writes down what is left, and a process that begins
 * there is in the same state as one that has lived, or has folded the whole journal.
 */

const asked = (obsid: string, rest: object = {}) => ({ dataId: { obsid }, pipeline: 'quicklook', ...rest })

/** A night that has rested: a succeeded and a failed job, a gathered group, a paused queue, DISABLED. */
async function rested(): Promise<{ night: Night; good: string; bad: string; group: string }> {
  const night = await createNight()
  await night.enable()
  const run = async (obsid: string, exitCode: number, rest: object = {}) => {
    const jobId = (await night.command('processData', asked(obsid, rest)))?.jobIds[0] ?? ''
    await night.started(jobId)
    await night.exited(jobId, { exitCode })
    return jobId
  }
  const good = await run('E1', 0)
  const bad = await run('E2', 1)
  const group = await run('E3', 0, { group: 'G#1' })
  await night.command('closeGroup', { group: 'G#1' }, { id: 'close' })
  await night.command('pause')
  await night.command('disable')
  // Enough entries that the next quiet moment is worth writing down.
  for (let i = 0; i < 1_100; i++) night.send('setLogLevel', { level: 10 + (i % 2) })
  await night.settled()
  return { night, good, bad, group }
}

const quiets = (night: Night) => night.entries().filter(({ what }) => what.type === 'engine.quiescent')

describe('beginning at rest', () => {
  test('a night at rest writes down what is left; one with an open job does not', async () => {
    const { night } = await rested()
    expect(quiets(night).length).toBeGreaterThan(0)
    const busy = await createNight()
    await busy.enable()
    await busy.command('processData', asked('E1'))
    for (let i = 0; i < 1_100; i++) busy.send('setLogLevel', { level: 10 + (i % 2) })
    await busy.settled()
    expect(quiets(busy)).toEqual([])
  })

  test('who has lived, who folds the whole journal and who begins at rest are in the same state', async () => {
    const { night } = await rested()
    const lived = dump(night.engine().world)
    const folded = createWorld({ instance: 'LATISS' })
    for (const entry of night.entries()) folded.apply(entry)
    const begun = createWorld({ instance: 'LATISS' })
    for await (const entry of night.journal.read('quiescent')) begun.apply(entry)
    expect(dump(folded)).toEqual(lived)
    expect(dump(begun)).toEqual(lived)
  })

  test('what comes after is announced alike by all three', async () => {
    const { night, good } = await rested()
    const cut = night.journal.lines.length
    await night.command('enable')
    await night.command('resume')
    await night.command('processData', asked('E4', { after: [good] }))
    await night.command('processData', asked('E5', { group: 'G#1' }))
    await night.advance(5_000_000)
    const said = night.said.filter(({ id }) => Number(id.split('.')[0]) > cut).map(({ id }) => id)
    for (const from of ['start', 'quiescent'] as const) {
      const world = createWorld({ instance: 'LATISS' })
      const ids: string[] = []
      for await (const entry of createMemoryJournal(night.entries()).read(from)) {
        const effects = world.apply(entry)
        if (entry.n > cut) for (const effect of effects) if (effect.do === 'announce') ids.push(effect.id)
      }
      expect(ids).toEqual(said)
    }
  })

  test('after a restart from rest everything that mattered is still known', async () => {
    const { night, good, bad } = await rested()
    await night.restart()
    expect(night.state('csc')).toBe('disabled')
    await night.command('enable')
    // Paused before it was closed, and before the restart.
    expect(night.state('queue')).toBe('open.paused')
    await night.command('resume')
    const after = async (jobId: string) =>
      (await night.command('processData', asked('E4', { after: [jobId] })))?.jobIds[0]
    expect(night.state(`job.${await after(good)}`)).toBe('active.starting')
    const skipped = await after(bad)
    expect(night.events('jobResult', skipped)).toMatchObject([{ outcome: { code: 'PREREQUISITE_FAILED' } }])
    expect(await night.command('abortJob', { jobId: good })).toMatchObject({ code: 'ALREADY_SETTLED' })
    // A late member of the group that lingers.
    await night.command('processData', asked('E9', { group: 'G#1' }))
    expect(night.state('gather.G=231')).toBe('closing')
  })

  test('a timer armed before the rest fires once after it, at its own time', async () => {
    const { night } = await rested()
    const { lingerMs } = aConfiguration().groups
    await night.advance(lingerMs - 1)
    expect(night.state('gather.G=231')).toBe('gathered')
    await night.advance(1)
    expect(night.state('gather.G=231')).toBeUndefined()
    expect(night.entries().filter(({ door }) => door === 'clock')).toHaveLength(1)
  })
})

function dump(world: World): string[] {
  const kinds: readonly MachineKind[] = ['csc', 'queue', 'job', 'gather', 'reply']
  return kinds.flatMap(kind =>
    [...world.actors(kind)].map(({ address, snapshot: { value, context }, timers }) =>
      JSON.stringify({ address, value, context, timers: [...timers] }),
    ),
  )
}
