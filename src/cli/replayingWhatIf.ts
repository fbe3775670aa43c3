import { statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { LoadedConfiguration } from '../../machines/domain/commands.ts'
import { DEFAULT_POOL, poolOf, slotsIn } from '../../machines/domain/pools.ts'
import { tooLarge, type Configuration } from '../../machines/domain/configuration.ts'
import { createConfigurationSource } from '../config/load.ts'
import { configurationSchema } from '../contract/configuration.ts'
import { sentences } from '../contract/decode.ts'
import { comparisonOf, type Comparison } from '../replay/comparison.ts'
import { historyOf } from '../replay/history.ts'
import type { Quantiles } from '../replay/tally.ts'
import { whatIf } from '../replay/whatIf.ts'
import { checkTemplate } from '../executor/commandLine.ts'
import { readRecording } from '../journal/recording.ts'
import { UserError } from '../userError.ts'
import { configurationDirectory } from './configurationDirectory.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { duration, table } from './format.ts'
import { createOutput } from './output.ts'
import { nameOf, readably } from './replaying.ts'
import type { ReplayOptions, Setting } from './replayOptions.ts'

/**
 * What would have happened under another configuration, beside what did. Throws UserError for a recording or a
 * configuration that is none.
 */
export async function supposeOtherwise(path: string, named: string | null, options: ReplayOptions): Promise<ExitCode> {
  const { instance } = await nameOf(path, named)
  const reconfigure = reconfiguring(instance, options)
  const history = await readably(path, () => historyOf(readRecording(path), instance))
  const { tallying, supposed, problems } = whatIf({ history, reconfigure })
  if (problems[0] !== undefined) throw new UserError(problems[0])
  const comparison = comparisonOf(history.tallying, tallying)
  createOutput(options.json === true).say(inText(comparison, supposed), {
    recording: path,
    instance,
    ...comparison,
    supposed,
  })
  return EXIT.DONE
}

type Reconfigure = (recorded: LoadedConfiguration, configurationOverride: string) => LoadedConfiguration

function reconfiguring(instance: string, { config, configDir, loaded, set = [] }: ReplayOptions): Reconfigure {
  const { site } = loaded.settings
  const from = config === undefined ? null : sourceOf(config, configDir)
  const source = from && createConfigurationSource({ dir: from.dir, site, instance, checkTemplate })
  return (recorded, override) => {
    const loaded = source ? source.load(from.override ?? override) : recorded
    return loaded.ok ? { ...loaded, configuration: withSettings(loaded.configuration, set) } : loaded
  }
}

/** A directory is read with the override each recorded start named; a file is the override of all of them. */
function sourceOf(config: string, configDir: string | undefined): { dir: string; override: string | null } {
  const there = statSync(config, { throwIfNoEntry: false })
  if (there?.isDirectory()) return { dir: configurationDirectory(config), override: null }
  if (configDir !== undefined) return { dir: configurationDirectory(configDir), override: config }
  return config.includes('/')
    ? { dir: configurationDirectory(dirname(config)), override: basename(config) }
    : { dir: configurationDirectory(null), override: config }
}

// What the files and the configuration that is applied spell and bound alike.
const bounded = configurationSchema.pick({ mode: true, slots: true, prefetch: true, order: true })

function withSettings(recorded: Configuration, set: readonly Setting[]): Configuration {
  if (set.length === 0) return recorded
  // Recordings that are older than prefetch have none.
  const wanted = set.reduce(withSetting, { prefetch: 0, ...recorded })
  const { mode, slots, prefetch, order } = wanted
  const checked = bounded.safeParse({ mode, slots, prefetch, order })
  if (!checked.success) throw new UserError(`--set ${sentences(checked.error)}`)
  for (const [pool, one] of Object.entries(wanted.pools ?? {})) {
    const inPool = configurationSchema.shape.slots.safeParse(one.slots)
    if (!inPool.success) throw new UserError(`--set pools.${pool}.slots: ${sentences(inPool.error)}`)
  }
  const after = { ...wanted, pipelines: inPools(wanted) }
  const large = tooLarge(after)
  if (large !== null && tooLarge(recorded) === null) {
    const pool = poolOf(large)
    const [there, key] =
      pool === DEFAULT_POOL ? ['there would be', 'slots'] : [`pool ${pool} would have`, `pools.${pool}.slots`]
    const few = slotsIn(after, pool)
    throw new UserError(
      `--set: pipeline ${large.name} takes ${large.slots} slots and ${there} ${few}, so its jobs would wait for ever; set ${key} to at least ${large.slots}, or pipelines.${large.name}.slots to at most ${few}`,
    )
  }
  return after
}

/** Each pipeline with the slots its pool would have. */
function inPools({ pipelines, pools = {} }: Configuration): Configuration['pipelines'] {
  return Object.fromEntries(
    Object.entries(pipelines).map(([name, { pool, ...one }]) => [
      name,
      { ...one, ...(pool && { pool: { ...pool, ...pools[pool.name] } }) },
    ]),
  )
}

/**
 * Only what is there can be set, and only to a value of its kind: a slip of the finger would change nothing, silently.
 */
function withSetting<T>(value: T, { path, value: wanted }: Setting, _index?: number): T {
  const [key, ...rest] = path
  if (typeof value !== 'object' || value === null || key === undefined || !Object.hasOwn(value, key))
    throw new UserError(
      `--set ${path.join('.')}: there is no such value; there are ${Object.keys(Object(value)).join(', ')} (times in milliseconds)`,
    )
  const before: unknown = Reflect.get(value, key)
  if (rest.length === 0 && before !== null && wanted !== null && typeof before !== typeof wanted)
    throw new UserError(`--set ${key}=${JSON.stringify(wanted)}: a ${typeof before} is expected`)
  return { ...value, [key]: rest.length === 0 ? wanted : withSetting(before, { path: rest, value: wanted }) }
}

// Beyond this a person counts rather than reads; --json has them all.
const LISTED_MAX = 10

function inText(comparison: Comparison, supposed: Readonly<Record<string, number>>): string {
  const { recorded, whatIf: other, changed, changedGroups, startedInAnotherOrder } = comparison
  const rows = [
    ['', 'recorded', 'what if'],
    ...counts('', { jobs: recorded.jobs, open: recorded.open }, { jobs: other.jobs, open: other.open }),
    ...counts('  ', recorded.outcomes, other.outcomes),
    ...spread('waiting', recorded.waitingMs, other.waitingMs),
    ...spread('turnaround', recorded.turnaroundMs, other.turnaroundMs),
    ...counts('groups ', recorded.groups, other.groups),
    ...counts('refused ', recorded.refused, other.refused),
    ['makespan', duration(recorded.makespanMs), duration(other.makespanMs)],
    ['started in another order', '', String(startedInAnotherOrder)],
  ]
  return [
    table(rows),
    ...listed(
      `${changed.length} jobs end another way`,
      changed.map(one => `${one.jobId}: ${one.recorded} → ${one.whatIf}`),
    ),
    ...listed(
      `${changedGroups.length} groups end another way`,
      changedGroups.map(one => `${one.group}: ${one.recorded} → ${one.whatIf}`),
    ),
    ...listed(
      'supposed, because the recording does not say it',
      Object.entries(supposed).map(([sentence, count]) => `${count} ${sentence}`),
    ),
  ].join('\n')
}

function counts(head: string, before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].map(name => [
    head + name,
    String(before[name] ?? 0),
    String(after[name] ?? 0),
  ])
}

function spread(head: string, before: Quantiles, after: Quantiles): string[][] {
  const names: readonly (keyof Quantiles)[] = ['p50', 'p90', 'p99', 'max']
  return names.map(name => [`${head} ${name}`, duration(before[name]), duration(after[name])])
}

function listed(head: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  const more = lines.length > LISTED_MAX ? [`  and ${lines.length - LISTED_MAX} more; --json lists them`] : []
  return [`${head}:`, ...lines.slice(0, LISTED_MAX).map(line => `  ${line}`), ...more]
}
