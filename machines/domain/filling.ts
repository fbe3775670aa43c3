import { exposureNumbers } from './dataId.ts'
import type { Pipeline } from './pipeline.ts'
import type { Refusal } from './refusals.ts'
import type { Work } from './work.ts'

/**
 * Whether everything a pipeline's command names can be filled in for a job, found out before it is accepted. A
 * configuration older than this does not say what its pipelines need; their jobs are accepted, and fail when they are
 * started.
 */
export type Values = Pick<Work, 'dataId' | 'overrides' | 'configFile'>

/** For the pipeline and each it may fall back on, with what would be left of the options then. */
export function judgeFilling(
  pipelines: Readonly<Record<string, Pipeline>>,
  pipeline: Pipeline,
  values: Values,
): Refusal | null {
  const missing = missingFor(pipeline, values)
  if (missing !== null) return missing
  for (const name of pipeline.fallback) {
    const other = pipelines[name]
    const wrong = other ? missingFor(other, values) : null
    if (wrong) return { ...wrong, reason: `${pipeline.name} falls back on ${name}: ${wrong.reason}` }
  }
  return null
}

function missingFor(pipeline: Pipeline, values: Values): Refusal | null {
  const name = pipeline.needs?.find(one => !hasValue(one, pipeline, values))
  return name === undefined
    ? null
    : { code: 'VALUE_MISSING', reason: `the command of ${pipeline.name} needs {${name}}; ${way(name, pipeline)}` }
}

function hasValue(name: string, pipeline: Pipeline, { dataId, overrides, configFile }: Values): boolean {
  if (name.startsWith('override.')) {
    const key = name.slice('override.'.length)
    return Object.hasOwn(overrides, key) || (pipeline.overrides[key]?.default ?? null) !== null
  }
  switch (name) {
    case 'input':
      return false
    case 'obsid':
      return dataId.obsid !== null
    case 'detector':
      return dataId.detector !== null
    case 'group':
      return dataId.group !== null
    case 'dayObs':
    case 'seqNum':
      return dataId.obsid !== null && exposureNumbers(dataId.obsid) !== null
    case 'configFile':
      return configFile !== null && pipeline.configFiles.includes(configFile)
    case 'members':
      return pipeline.scope === 'group'
    default:
      return true
  }
}

/** What to do next. */
function way(name: string, { configFiles, scope }: Pipeline): string {
  if (name.startsWith('override.'))
    return `it has no default, so give it: overrides: {"${name.slice('override.'.length)}": …}`
  switch (name) {
    case 'input':
      return 'dataPath is empty in the configuration; set it to where the frames are'
    case 'obsid':
      return 'a group has no single exposure; correct the pipeline'
    case 'detector':
      return scope === 'group' ? 'name one in dataId beside the group' : 'name one in dataId, or a list of them'
    case 'group':
      return 'name the group this exposure belongs to'
    case 'dayObs':
    case 'seqNum':
      return 'it is read from an obsid that ends like _20261122_000017; name such an exposure'
    case 'configFile':
      return configFiles.length > 0
        ? `name one of ${configFiles.join(', ')} as configFile`
        : 'it allows none; list some under configFiles in its file'
    default:
      return 'only a pipeline of scope group has it; correct the pipeline'
  }
}
