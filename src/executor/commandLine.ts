/**
 * What a job is started with: its argv and its environment, as pure functions of the order. A value is put into
 * one word and never read again for placeholders, and no shell sees it. Whether a template may be used at all is asked
 * by configuration with checkTemplate; whether the program exists is found out by starting it.
 */
import {
  dataValue,
  fill,
  isDefaultVersion,
  type Inputs,
  type Resolved,
  type Value,
} from '../../machines/domain/located.ts'
import type { OverrideValue } from '../../machines/domain/pipeline.ts'
import { placeholdersIn } from '../../machines/domain/template.ts'
import type { StartOrder } from '../../machines/ports.ts'

/** Where things are, as far as a command line can name them; all paths absolute. */
export interface Surroundings {
  readonly inputs: Inputs
  readonly pipelinesDir: string
  /** The job's own directory. */
  readonly directory: string
}

const COMMAND_NAMES = [
  'node',
  'pipelines',
  'input',
  'members',
  'jobId',
  'obsid',
  'detector',
  'group',
  'instrument',
  'version',
  'workDir',
  'configFile',
]
const DATA_PATH_NAMES = ['instrument', 'dayObs', 'seqNum', 'obsid', 'detector', 'group']

/** Names of the placeholders in a template, in order, each once. */
export function placeholders(template: string): string[] {
  return [...new Set(placeholdersIn(template).map(({ name }) => name))]
}

/**
 * Null for a template that can be used, else one sentence. `command`: a word of a pipeline's command, where
 * `{override.NAME}` needs NAME among the pipeline's overrides. `dataPath`: the site's path of an exposure.
 */
export function checkTemplate(
  template: string,
  kind: { readonly command: { readonly overrides: readonly string[] } } | 'dataPath',
): string | null {
  if (template.includes('\0')) return `"${template.replaceAll('\0', '\\0')}" holds a NUL byte; remove it.`
  const known =
    kind === 'dataPath'
      ? DATA_PATH_NAMES
      : [...COMMAND_NAMES, ...kind.command.overrides.map(name => `override.${name}`)]
  const unknown = placeholders(template).find(name => !known.includes(name))
  return unknown === undefined
    ? null
    : `"${template}" uses {${unknown}}, which is unknown here; use one of ${known.map(name => `{${name}}`).join(' ')}.`
}

/** The argv of a job, or the sentence why there is none. */
export function commandLine(order: StartOrder, around: Surroundings): Resolved<readonly string[]> {
  const argv: string[] = []
  const valueOf = (name: string) => commandValue(name, order, around)
  for (const part of order.pipeline.command) {
    if (typeof part !== 'string' && part.some(word => lacksValue(word, valueOf))) continue
    for (const word of [part].flat()) {
      const resolved = fill(word, valueOf)
      if ('problem' in resolved) return { problem: `Pipeline ${order.pipeline.name}: ${resolved.problem}` }
      argv.push(resolved.ok)
    }
  }
  if (!argv[0]) return { problem: `Pipeline ${order.pipeline.name}: the command is empty; name a program.` }
  return { ok: argv }
}

/** The path inside a job's directory of what a gather job combines. */
export function membersPath(directory: string): string {
  return `${directory}/members.json`
}

function commandValue(name: string, order: StartOrder, around: Surroundings): Value {
  const { dataId } = order
  if (name.startsWith('override.')) return overrideValue(name.slice('override.'.length), order)
  switch (name) {
    case 'node':
      return process.execPath
    case 'pipelines':
      return around.pipelinesDir
    case 'input':
      return 'ok' in around.inputs.input ? around.inputs.input.ok : around.inputs.input
    case 'members':
      return order.members && membersPath(around.directory)
    case 'jobId':
      return order.jobId
    case 'version':
      return order.version
    case 'workDir':
      return around.directory
    case 'configFile':
      return order.configFile
    case 'obsid':
    case 'detector':
    case 'group':
    case 'instrument':
      return dataValue(name, dataId)
    default:
      return undefined
  }
}

function overrideValue(name: string, { overrides, pipeline }: StartOrder): Value {
  const given: OverrideValue | undefined = Object.hasOwn(overrides, name) ? overrides[name] : undefined
  const rule = Object.hasOwn(pipeline.overrides, name) ? pipeline.overrides[name] : undefined
  const value = given ?? rule?.default
  if (value === undefined) return undefined
  return value === null ? null : String(value)
}

/** Whether words that hold this one are left out. */
function lacksValue(word: string, valueOf: (name: string) => Value): boolean {
  return placeholdersIn(word).some(({ name, otherwise }) => {
    const value = valueOf(name)
    return otherwise === null && (value === null || isDefaultVersion(name, value))
  })
}
