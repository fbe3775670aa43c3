import { tooLarge, type Configuration } from '../../machines/domain/configuration.ts'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import { DEFAULT_POOL, poolNames, poolOf, type Pool, type Runner } from '../../machines/domain/pools.ts'
import type { configurationSchema } from '../contract/configuration.ts'
import type { z } from 'zod'

/**
 * The pools of the configuration's files, and whether the pipelines fit them. A pipeline's file says a name; from here
 * on the pipeline carries how that pool starts its jobs, so that whoever has the pipeline can start it.
 */

type Written = z.infer<typeof configurationSchema>['pools']

export function poolsFrom(written: Written = {}): Readonly<Record<string, Pool>> {
  return Object.fromEntries(
    Object.entries(written).map(([name, { slots, runner = 'none' }]) => [name, { slots, runner: runnerFrom(runner) }]),
  )
}

function runnerFrom(written: 'none' | { readonly prefix: readonly string[] }): Runner {
  return written === 'none' ? { kind: 'none' } : { kind: 'prefix', argv: written.prefix }
}

/** The pipeline in the pool it names; as it is where that is the default pool. */
export function inPool(pipeline: Pipeline, named: string, pools: Readonly<Record<string, Pool>>): Pipeline {
  const pool = Object.hasOwn(pools, named) ? pools[named] : undefined
  return pool === undefined ? pipeline : { ...pipeline, pool: { name: named, ...pool } }
}

/** What is wrong with the pools as they are written, or null. */
export function poolsProblem(written: Written = {}): string | null {
  return Object.hasOwn(written, DEFAULT_POOL)
    ? `pools.${DEFAULT_POOL}: ${DEFAULT_POOL} is the pool of those that name none, and has the slots of \`slots\`; give this one another name`
    : null
}

/** Why a pipeline cannot be run in its pool, or null. `whereIs` names the file that has a key. */
export function fitProblem(
  { configuration, named }: { configuration: Pick<Configuration, 'slots' | 'pools' | 'pipelines'>; named: Named },
  whereIs: (key: readonly string[]) => string,
): string | null {
  const there = poolNames(configuration)
  for (const [pipeline, pool] of Object.entries(named))
    if (!there.includes(pool))
      return `pipelines/${pipeline}.yaml: pool: there is no pool ${pool}; ${there.length === 1 ? 'name none, or add it to pools' : `there are ${there.join(', ')} (pools in ${whereIs(['pools'])})`}`
  const large = tooLarge(configuration)
  if (large === null) return null
  const pool = poolOf(large)
  const key = pool === DEFAULT_POOL ? ['slots'] : ['pools', pool, 'slots']
  const slots = pool === DEFAULT_POOL ? configuration.slots : (configuration.pools?.[pool]?.slots ?? 0)
  return `pipelines/${large.name}.yaml: slots: at most ${slots} is expected, for that is ${key.join('.')} in ${whereIs(key)}; a job that needs ${large.slots} would wait for ever`
}

/** Pipeline → the pool its file names, where it names one. */
export type Named = Readonly<Record<string, string>>
