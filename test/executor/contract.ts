/**
 * What every executor promises, whatever it starts jobs with: the contract test of the launcher in C, the launcher in
 * Perl and the scripted twin. What only real processes can show is in subprocess.test.ts.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import type { Executor, StartOrder } from '../../machines/ports.ts'
import { type Ear, ear, ENDS } from './world.ts'

/** What a job does; each world knows how to make a job do it. */
export const SCENES = [
  'succeeds',
  'exits 3',
  'dies of SIGUSR1',
  'reports',
  'hangs',
  'ignores SIGTERM',
  'is missing',
] as const
export type Scene = (typeof SCENES)[number]

export interface World {
  open(ear: Ear): Promise<Executor>
  order(scene: Scene, changes?: Partial<StartOrder>, pipeline?: Partial<Pipeline>): StartOrder
  leave(): Promise<void>
}

/** Where a world differs: how a missing program is told, if not by never having started. */
interface Differing {
  readonly missing?: object
}

export function keepsTheContract(name: string, enter: () => World, { missing }: Differing = {}): void {
  describe(`an executor with ${name}`, () => {
    let world: World
    let heard: Ear
    let executor: Executor
    beforeEach(async () => {
      world = enter()
      heard = ear()
      executor = await world.open(heard)
    })
    afterEach(() => world.leave())

    test('says nothing while it is being ordered, then started, then exited', async () => {
      executor.start(world.order('succeeds'))
      expect(heard.reports).toEqual([])
      expect(await heard.end()).toMatchObject({ exitCode: 0, signal: null, usage: { stoppedBy: null, survivors: 0 } })
      expect(heard.reports.map(({ type }) => type)).toEqual(['executor.started', 'executor.exited'])
      expect(heard.reports[0]).toMatchObject({ where: 'local' })
    })

    test('tells an exit code and a signal apart', async () => {
      executor.start(world.order('exits 3'))
      executor.start(world.order('dies of SIGUSR1', { jobId: 'j2' }))
      expect(await heard.end('j1')).toMatchObject({ exitCode: 3, signal: null })
      expect(await heard.end('j2')).toMatchObject({ exitCode: null, signal: 'SIGUSR1' })
    })

    test('passes on everything a job reported, in order, before its end', async () => {
      executor.start(world.order('reports'))
      await heard.end()
      expect(heard.reports).toMatchObject([
        { type: 'executor.started' },
        { type: 'executor.metric', metric: 'psf.fwhm', value: 1.21, unit: 'arcsec' },
        { type: 'executor.progress', fraction: 0.4, note: 'half way' },
        { type: 'executor.verdict', verdict: 'poor seeing' },
        { type: 'executor.exited', exitCode: 0 },
      ])
    })

    test('says that a program is missing, and nothing else about it', async () => {
      executor.start(world.order('is missing'))
      expect(await heard.end()).toMatchObject(missing ?? { type: 'executor.startFailed', code: 'PROGRAM_NOT_FOUND' })
      expect(heard.reports).toHaveLength(missing ? 2 : 1)
    })

    test('stops a job with SIGTERM where that is enough', async () => {
      executor.start(world.order('hangs'))
      await heard.until('executor.started')
      executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 60_000 })
      expect(await heard.end()).toMatchObject({ signal: 'SIGTERM', usage: { stoppedBy: 'SIGTERM', survivors: 0 } })
    })

    test('stops a job that ignores SIGTERM with SIGKILL after the grace', async () => {
      executor.start(world.order('ignores SIGTERM'))
      await heard.until('executor.progress')
      executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 50 })
      expect(await heard.end()).toMatchObject({ signal: 'SIGKILL', usage: { stoppedBy: 'SIGKILL', survivors: 0 } })
    })

    test('stops a job that was ordered a moment ago', async () => {
      executor.start(world.order('hangs'))
      executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 60_000 })
      expect(await heard.end()).toMatchObject({ signal: 'SIGTERM' })
    })

    test('takes an order to stop a job it does not know, or another attempt, for nothing', async () => {
      executor.start(world.order('succeeds'))
      executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 2, graceMs: 0 })
      executor.stop({ type: 'executor.stop', jobId: 'j9', attempt: 1, graceMs: 0 })
      expect(await heard.end()).toMatchObject({ exitCode: 0 })
    })

    test('ends every one of 50 jobs exactly once', async () => {
      const ids = Array.from({ length: 50 }, (_, index) => `j${index}`)
      for (const jobId of ids) executor.start(world.order('succeeds', { jobId }))
      await Promise.all(ids.map(jobId => heard.end(jobId)))
      const ends = heard.reports.filter(({ type }) => ENDS.includes(type)).map(({ jobId }) => jobId)
      expect(ends.toSorted()).toEqual(ids.toSorted())
    })

    test('begins a job that was ordered before a slot is free when it fits, after those ordered before it', async () => {
      const ids = Array.from({ length: 12 }, (_, index) => `j${index}`)
      for (const jobId of ids) executor.start(world.order('reports', { jobId, capacity: 2 }))
      await Promise.all(ids.map(jobId => heard.end(jobId)))
      let running = 0
      for (const { type } of heard.reports) {
        running += type === 'executor.started' ? 1 : type === 'executor.exited' ? -1 : 0
        expect(running).toBeLessThanOrEqual(2)
      }
      const started = heard.reports.filter(({ type }) => type === 'executor.started')
      expect(started.map(({ jobId }) => jobId)).toEqual(ids)
    })

    test('keeps the capacities of pools apart: a full one holds up no job of another', async () => {
      const heavy = { pool: { name: 'heavy', slots: 1, runner: { kind: 'none' } } } as const
      executor.start(world.order('hangs', { capacity: 1 }))
      executor.start(world.order('succeeds', { jobId: 'j2', capacity: 1 }))
      executor.start(world.order('hangs', { jobId: 'h1', capacity: 1 }, heavy))
      executor.start(world.order('succeeds', { jobId: 'h2', capacity: 1 }, heavy))
      await heard.until('executor.started', 'j1')
      await heard.until('executor.started', 'h1')
      executor.stop({ type: 'executor.stop', jobId: 'h1', attempt: 1, graceMs: 60_000 })
      expect(await heard.end('h2')).toMatchObject({ exitCode: 0 })
      expect(heard.reports.filter(({ jobId }) => jobId === 'j2')).toEqual([])
      executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 60_000 })
      expect(await heard.end('j2')).toMatchObject({ exitCode: 0 })
    })

    test('says of a job that is stopped before a slot is free that it did not start, and begins those behind it', async () => {
      executor.start(world.order('hangs', { capacity: 1 }))
      executor.start(world.order('succeeds', { jobId: 'j2', capacity: 1 }))
      executor.start(world.order('succeeds', { jobId: 'j3', capacity: 1 }))
      executor.stop({ type: 'executor.stop', jobId: 'j2', attempt: 1, graceMs: 60_000 })
      expect(await heard.end('j2')).toMatchObject({ type: 'executor.startFailed', code: 'START_FAILED' })
      executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 60_000 })
      expect(await heard.end('j1')).toMatchObject({ signal: 'SIGTERM' })
      expect(await heard.end('j3')).toMatchObject({ exitCode: 0 })
      expect(heard.reports.filter(({ jobId }) => jobId === 'j2')).toHaveLength(1)
    })

    test('says nothing after it was closed', async () => {
      executor.start(world.order('hangs'))
      await heard.until('executor.started')
      executor.stop({ type: 'executor.stop', jobId: 'j1', attempt: 1, graceMs: 0 })
      await executor.close()
      expect(heard.reports).toHaveLength(1)
    })
  })
}
