import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import type { ConfigurationsAvailable, LoadedConfiguration, PipelineFiles } from '../../machines/domain/commands.ts'
import type { DataId } from '../../machines/domain/dataId.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import { DEFAULT_POOL } from '../../machines/domain/pools.ts'
import { isUsedIn, needsOf, type CommandPart } from '../../machines/domain/template.ts'
import { judgeFilling } from '../../machines/domain/filling.ts'
import { configurationSchema, pipelineSchema, SCHEMA_VERSION } from '../contract/configuration.ts'
import { sentences } from '../contract/decode.ts'
import { cameraOf } from './camera.ts'
import { fitProblem, inPool, poolsFrom, poolsProblem } from './pools.ts'

/**
 * The configuration's files: `_init.yaml`, then `_<site>.yaml`, then the override named in `start`, as salobj layers
 * them (maps are merged, lists and values replaced); and one entry per pipeline under `pipelines/`. Every mistake is
 * one sentence naming file, key and what was expected.
 */
export interface ConfigurationSource {
  /** Reads and checks everything `start` would apply. Never throws. */
  load(configurationOverride: string): LoadedConfiguration
  /** What `start` may name now. */
  available(): ConfigurationsAvailable
  /** Names of the pipelines that have a file. */
  pipelineFiles(): PipelineFiles
  /** What the files hold, in short, that a reload of these would read; other overrides are left out. */
  relevant(configurations: string): string
  /** The same as it was when they were loaded last; null if they were not. */
  relevantWhenLoaded(configurations: string): string | null
}

export interface ConfigurationFiles {
  readonly dir: string
  /** LSST_SITE at a telescope; the layer `_<site>.yaml` is read if it is there. */
  readonly site: string
  readonly instance: string
  /** Says what is wrong with a template, or null: which placeholders exist is the executor's knowledge. */
  readonly checkTemplate: CheckTemplate
}

type CheckTemplate = (
  template: string,
  kind: { readonly command: { readonly overrides: readonly string[] } } | 'dataPath',
) => string | null

export function createConfigurationSource(files: ConfigurationFiles): ConfigurationSource {
  const dir = resolve(files.dir)
  let loaded: { readonly configurations: string; readonly version: string } | null = null
  return {
    load(configurationOverride) {
      try {
        const layers = layersOf(dir, files.site, configurationOverride)
        const configuration = merged(layers, files, readPipelines(join(dir, 'pipelines'), files.checkTemplate))
        const available = availableIn(dir)
        const applied = {
          configurations: layers.map(({ file }) => file).join(','),
          version: available.version,
          url: available.url,
          schemaVersion: SCHEMA_VERSION,
          otherInfo: '',
        }
        loaded = { configurations: applied.configurations, version: relevantIn(dir, applied.configurations) }
        return { ok: true, configuration, applied, available, pipelineFiles: pipelineFilesIn(dir) }
      } catch (error) {
        if (error instanceof ConfigurationError) return { ok: false, problem: error.message }
        return {
          ok: false,
          problem: `the configuration in ${dir} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
        }
      }
    },
    available: () => availableIn(dir),
    pipelineFiles: () => pipelineFilesIn(dir),
    relevant: configurations => relevantIn(dir, configurations),
    relevantWhenLoaded: configurations => (loaded?.configurations === configurations ? loaded.version : null),
  }
}

class ConfigurationError extends Error {}

interface Layer {
  readonly file: string
  readonly value: Readonly<Record<string, unknown>>
}

function layersOf(dir: string, site: string, override: string): Layer[] {
  if (override.startsWith('_'))
    throw new ConfigurationError(
      `${override} is a layer of its own and cannot be named in start; name an override or nothing`,
    )
  if (override !== '' && !existsSync(join(dir, override)))
    throw new ConfigurationError(
      `there is no ${override} in ${dir}; there are ${overridesIn(dir).join(', ') || 'no overrides'}`,
    )
  const siteFile = `_${site}.yaml`
  const names = [
    '_init.yaml',
    ...(site !== '' && existsSync(join(dir, siteFile)) ? [siteFile] : []),
    ...(override === '' ? [] : [override]),
  ]
  return names.map(file => ({ file, value: readMap(join(dir, file)) }))
}

function readMap(path: string): Record<string, unknown> {
  const file = basename(path)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigurationError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error) throw new ConfigurationError(`${file} is not YAML: ${error.message.split('\n')[0]}`)
  const value: unknown = document.toJS()
  if (value === null) return {}
  if (!isMap(value)) throw new ConfigurationError(`${file} must hold keys and values at its top`)
  // salobj drops a top-level `metadata` key; so its files can be used unchanged.
  const { metadata: _metadata, ...rest } = value
  return rest
}

function merged(
  layers: readonly Layer[],
  { instance, checkTemplate }: ConfigurationFiles,
  entries: readonly Entry[],
): Configuration {
  let value: Record<string, unknown> = {}
  for (const layer of layers) value = merge(value, layer.value, layer.file, '')
  const checked = configurationSchema.safeParse(value)
  if (!checked.success) throw new ConfigurationError(placed(checked.error, layers))
  const {
    instrument = instance,
    queueDepth,
    ackTimeout,
    groups,
    display = [],
    prefetch = 0,
    pools: written,
    camera,
    ...rest
  } = checked.data
  const badPool = poolsProblem(written)
  if (badPool !== null) throw new ConfigurationError(`${lastWith(layers, ['pools', 'default'])}: ${badPool}`)
  const pools = poolsFrom(written)
  const pipelines = Object.fromEntries(
    entries.map(({ pipeline, pool }) => [
      pipeline.name,
      { ...inPool(pipeline, pool, pools), needs: needsOf(pipeline.command, rest.dataPath) },
    ]),
  )
  const { patience, linger, ...group } = groups
  if (group.pipeline !== null && pipelines[group.pipeline]?.scope !== 'group')
    throw new ConfigurationError(
      `${lastWith(layers, ['groups', 'pipeline'])}: groups.pipeline: ${group.pipeline} is not a pipeline of scope group`,
    )
  // Nobody is there to be refused when a group closes by itself.
  const combining = group.pipeline === null ? undefined : pipelines[group.pipeline]
  const wanting = combining && judgeFilling(pipelines, combining, { dataId: aGroup(instrument), ...NO_OPTIONS })
  if (wanting)
    throw new ConfigurationError(`${lastWith(layers, ['groups', 'pipeline'])}: groups.pipeline: ${wanting.reason}`)
  const problem = checkTemplate(rest.dataPath, 'dataPath')
  if (problem !== null) throw new ConfigurationError(`${lastWith(layers, ['dataPath'])}: dataPath: ${problem}`)
  const mapped = camera === undefined ? null : cameraOf(camera)
  if (mapped && 'problem' in mapped)
    throw new ConfigurationError(`${lastWith(layers, ['camera'])}: camera.${mapped.problem}`)
  const named = Object.fromEntries(entries.map(({ pipeline, pool }) => [pipeline.name, pool]))
  const unfit = fitProblem({ configuration: { slots: rest.slots, pools, pipelines }, named }, key =>
    lastWith(layers, key),
  )
  if (unfit !== null) throw new ConfigurationError(unfit)
  return {
    ...rest,
    // Absolute from here on: the journal must mean the same wherever it is read.
    dataPath: rest.dataPath === '' ? '' : resolve(rest.dataPath),
    instrument,
    pools,
    prefetch,
    queueDepthMax: queueDepth,
    ackTimeoutMs: ackTimeout * 1000,
    groups: { ...group, patienceMs: patience * 1000, lingerMs: linger * 1000 },
    pipelines,
    camera: mapped,
    display: display.map(({ view, dataset, instrument: of = null, detector = null }) => ({
      view,
      dataset,
      instrument: of,
      detector,
    })),
  }
}

const NO_OPTIONS = { overrides: {}, configFile: null }

function aGroup(instrument: string): DataId {
  return { instrument, obsid: null, group: 'any', detector: null }
}

function merge(
  below: Record<string, unknown>,
  above: Readonly<Record<string, unknown>>,
  file: string,
  path: string,
): Record<string, unknown> {
  const result = { ...below }
  for (const [key, value] of Object.entries(above)) {
    const under = result[key]
    if (under !== undefined && under !== null && value !== null && isMap(under) !== isMap(value))
      throw new ConfigurationError(
        `${file}: ${path}${key}: a ${isMap(under) ? 'map' : 'value'} is expected, as in the layer below`,
      )
    result[key] = isMap(under) && isMap(value) ? merge(under, value, file, `${path}${key}.`) : value
  }
  return result
}

/**
 * The first finding with the file that is to blame: the last layer that has the key, or where it is missing the first
 * that should.
 */
function placed(error: z.ZodError, layers: readonly Layer[]): string {
  const [issue] = error.issues
  const path = issue ? (issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path) : []
  return `${lastWith(layers, path)}: ${sentences(error)}`
}

function lastWith(layers: readonly Layer[], path: readonly PropertyKey[]): string {
  // A list comes from one layer as a whole.
  const list = path.findIndex(key => typeof key === 'number')
  const keys = list === -1 ? path : path.slice(0, list)
  const holds = (layer: Layer, under: readonly PropertyKey[]) =>
    under.reduce<unknown>((value, key) => (isMap(value) ? value[String(key)] : undefined), layer.value) !== undefined
  const last = layers.findLast(layer => holds(layer, keys))
  // What is missing is missing where the map that should hold it begins.
  return (last ?? layers.find(layer => holds(layer, keys.slice(0, -1))) ?? layers[0])?.file ?? ''
}

function readPipelines(dir: string, checkTemplate: CheckTemplate): readonly Entry[] {
  if (!existsSync(dir)) return []
  const files = readdirSync(dir)
    .filter(file => file.endsWith('.yaml'))
    .sort()
  const entries = files.map(file => readPipeline(dir, file, checkTemplate))
  const pipelines = Object.fromEntries(entries.map(({ pipeline }) => [pipeline.name, pipeline]))
  for (const { name, scope, fallback } of Object.values(pipelines))
    for (const other of fallback)
      if (
        other === name ||
        (pipelines[other]?.scope === 'group') !== (scope === 'group') ||
        !Object.hasOwn(pipelines, other)
      )
        throw new ConfigurationError(
          `pipelines/${name}.yaml: fallback: ${other} is not another pipeline over the same kind of data`,
        )
  return entries
}

/** A pipeline's file: the pool it names is looked up when the layers are merged. */
interface Entry {
  readonly pipeline: Pipeline
  readonly pool: string
}

function readPipeline(dir: string, file: string, checkTemplate: CheckTemplate): Entry {
  const where = `pipelines/${file}`
  const pipelineName = basename(file, '.yaml')
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(pipelineName))
    throw new ConfigurationError(`${where}: the file's name is the pipeline's: 1 to 64 letters, digits, _ or -`)
  const checked = pipelineSchema.safeParse(readMap(join(dir, file)))
  if (!checked.success) throw new ConfigurationError(`${where}: ${sentences(checked.error)}`)
  const {
    description,
    scope,
    command,
    versions = heedsVersion(command) ? ['*'] : [],
    env = {},
    passEnv = [],
    timeLimit,
    grace = 5,
    pool = DEFAULT_POOL,
    slots = 1,
    outputMax = OUTPUT_MAX,
    retries,
    overrides = {},
    configFiles = [],
    fallback = [],
  } = checked.data
  for (const word of command.flat()) {
    const problem = checkTemplate(word, { command: { overrides: Object.keys(overrides) } })
    if (problem !== null) throw new ConfigurationError(`${where}: command: ${problem}`)
  }
  for (const [key, rule] of Object.entries(overrides))
    if (rule.default !== undefined && rule.default !== null && typeof rule.default !== rule.type)
      throw new ConfigurationError(`${where}: overrides.${key}.default: a ${rule.type} is expected`)
  const pipeline = {
    name: pipelineName,
    description,
    scope,
    command,
    versions,
    env,
    ...(passEnv.length > 0 && { passEnv }),
    slots,
    configFiles,
    fallback,
    timeLimitMs: timeLimit * 1000,
    graceMs: grace * 1000,
    outputMaxBytes: outputMax,
    retries: retries
      ? { attemptsMax: retries.attempts, backoffMs: retries.backoff * 1000, on: retries.on }
      : { attemptsMax: 1, backoffMs: 1000, on: [] },
    overrides: Object.fromEntries(
      Object.entries(overrides).map(([key, { type, default: value = null, minimum = null, maximum = null }]) => [
        key,
        { type, default: value, minimum, maximum },
      ]),
    ),
  }
  return { pipeline, pool }
}

/** Whether it makes a difference to the program which version is asked for, as far as its entry shows that. */
function heedsVersion(command: readonly CommandPart[]): boolean {
  return isUsedIn(command, 'version') || command.flat().some(word => word.includes('OCPS_VERSION'))
}

// Enough for any log a person reads, small enough that 10 000 jobs fit on a disk.
const OUTPUT_MAX = 10 * 2 ** 20

function availableIn(dir: string): ConfigurationsAvailable {
  return {
    overrides: overridesIn(dir).join(','),
    version: digest(dir),
    url: pathToFileURL(dir).href,
    schemaVersion: SCHEMA_VERSION,
  }
}

function overridesIn(dir: string): string[] {
  return yamlIn(dir).filter(file => !file.startsWith('_'))
}

function pipelineFilesIn(dir: string): PipelineFiles {
  return yamlIn(join(dir, 'pipelines')).map(file => basename(file, '.yaml'))
}

function relevantIn(dir: string, configurations: string): string {
  return digest(dir, file => file.startsWith('_') || configurations.split(',').includes(file))
}

function yamlIn(folder: string): string[] {
  return existsSync(folder)
    ? readdirSync(folder)
        .filter(file => file.endsWith('.yaml'))
        .sort()
    : []
}

/** What the files hold, in short: the same content has the same version wherever it lies. */
function digest(dir: string, isMeant: (file: string) => boolean = () => true): string {
  const hash = createHash('sha256')
  const pipelines = join(dir, 'pipelines')
  for (const [folder, files] of [
    [dir, yamlIn(dir).filter(isMeant)],
    [pipelines, yamlIn(pipelines)],
  ] as const)
    for (const file of files)
      hash
        .update(file)
        .update('\0')
        .update(readFileSync(join(folder, file)))
        .update('\0')
  return `sha256:${hash.digest('hex').slice(0, 16)}`
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
