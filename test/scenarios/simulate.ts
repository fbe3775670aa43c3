import { createScriptedExecutor, type Script } from '../../src/executor/scripted.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { DataOrder, StartOrder } from '../../machines/ports.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { aConfiguration, NIGHTFALL } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/**
 * A whole night in memory, faster than time: what is asked when and how each pipeline behaves are given; the journal
 * comes back, with the digests a real instance would have written. The same night always gives the same journal.
 */
export interface Plan {
  readonly configuration?: Partial<Configuration>
  /** In any order; at the same moment in the order of the list. */
  readonly asked: readonly Asked[]
  /** How a pipeline behaves; unless said it runs two seconds, reports a metric, and succeeds. */
  readonly script?: (order: StartOrder) => Script
  /** When the data of a job are ingested, milliseconds after nightfall; null: never. */
  readonly ingested?: (order: Extract<DataOrder, { type: 'data.look' }>) => number | null
  /** When OCPS dies and is started again, milliseconds after nightfall. Pipelines go on. */
  readonly restarts?: readonly number[]
}

export interface Asked {
  /** Milliseconds after nightfall. */
  readonly at: number
  readonly name: string
  /** A function gets the acknowledgements so far, to name jobs by. */
  readonly body?: object | ((night: Night) => object)
  readonly id?: string
  readonly identity?: string
}

// Everything in a plan is over long before; a night that is not has a script that never ends.
const NIGHT_MAX_MS = 24 * 3_600_000

export async function simulate(plan: Plan): Promise<Entry[]> {
  const { script = usual, ingested = () => 0 } = plan
  const todo = createAgenda()
  let heard: (what: Parameters<Night['report']>[0]) => void = () => {}
  let serial = 0
  const looking = new Set<string>()
  const executor = createScriptedExecutor({
    report: what => heard(what),
    schedule: (ms, run) => todo.add(night.clock.now() + ms, run),
    script,
  })
  const night: Night = await createNight({
    configuration: aConfiguration(plan.configuration),
    onOrder(order) {
      if (order.type === 'executor.start') executor.start(order)
      else if (order.type === 'executor.stop') executor.stop(order)
      else if (order.type === 'data.look') look(order)
      else if (order.type === 'data.forget') looking.delete(order.jobId)
    },
  })
  heard = what => night.engine().input(what, 'report')
  for (const { at, name, body = {}, id = `m${++serial}`, identity = 'script' } of plan.asked)
    todo.add(
      NIGHTFALL + at,
      () => void night.send(name, typeof body === 'function' ? body(night) : body, { id, identity }),
    )
  for (const at of plan.restarts ?? []) todo.add(NIGHTFALL + at, () => night.restart())

  for (;;) {
    const first = todo.next()
    const due = night.engine().world.nextDue()?.due
    const at = Math.min(first ?? Infinity, due ?? Infinity)
    if (at > NIGHTFALL + NIGHT_MAX_MS) break
    night.clock.advance(Math.max(0, at - night.clock.now()))
    // Reports first: a pipeline that ends at its very time limit was in time.
    if (first === at) await todo.take()
    await night.settled()
  }
  await night.engine().finish()
  return night.entries()

  function look(order: Extract<DataOrder, { type: 'data.look' }>): void {
    const at = ingested(order)
    looking.add(order.jobId)
    const isThere = at !== null && NIGHTFALL + at <= night.clock.now()
    const say = (type: 'data.present' | 'data.absent') =>
      looking.has(order.jobId) && heard({ type, jobId: order.jobId })
    todo.add(night.clock.now(), () => void say(isThere ? 'data.present' : 'data.absent'))
    if (at !== null && !isThere) todo.add(NIGHTFALL + at, () => void say('data.present'))
  }
}

export function usual({ pipeline, dataId }: StartOrder): Script {
  return {
    runs: 2_000 + (((dataId.detector ?? 0) * 37) % 900),
    reports: [
      { afterMs: 500, report: { type: 'executor.progress', fraction: 0.25, note: 'reading' } },
      {
        afterMs: 1_500,
        report: { type: 'executor.metric', metric: `${pipeline.name}.fwhm`, value: 1.25, unit: 'arcsec' },
      },
      {
        afterMs: 1_600,
        report: { type: 'executor.dataset', dataset: 'preview', path: 'preview.png', mime: 'image/png' },
      },
    ],
  }
}

/** What happens when, in order of time, then of the order it was put down in. */
function createAgenda() {
  const moments = new Map<number, (() => unknown)[]>()
  const times: number[] = []
  return {
    add(at: number, run: () => unknown): void {
      const there = moments.get(at)
      if (there) return void there.push(run)
      moments.set(at, [run])
      times.splice(placeOf(times, at), 0, at)
    },
    next: () => times[0],
    async take(): Promise<void> {
      const at = times.shift()
      if (at === undefined) return
      const due = moments.get(at) ?? []
      moments.delete(at)
      for (const run of due) await run()
    },
  }
}

function placeOf(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? Infinity) < value) low = middle + 1
    else high = middle
  }
  return low
}
