import type { CloseGroupCommand, PipelineFiles, ProcessDataCommand, RetryCommand } from './domain/commands.ts'
import type { Configuration } from './domain/configuration.ts'
import { invariant } from './domain/invariant.ts'
import { gatherAddress, jobAddress, type Address, type Known, type ShelfItem } from './domain/messages.ts'
import type { OverrideRule, OverrideValue, Pipeline } from './domain/pipeline.ts'
import type { Refusal } from './domain/refusals.ts'
import { knowsVersion } from './domain/versions.ts'
import { judgeFilling } from './domain/filling.ts'
import { fittedTo, workOf, type Work } from './domain/work.ts'
import { runningCount, type Standings } from './standing.ts'

/**
 * Whether a command is admitted to the queue, and if not, why: pure functions of what the queue holds. Each gives the
 * first reason there is, as a code and a sentence, or null. A check that an older configuration gives no facts for is
 * passed, so that commands of an old journal are admitted as they were then.
 */

/** What the queue holds that matters here. */
export interface Load extends Pick<Standings, 'running' | 'pools'> {
  readonly configuration: Configuration | null
  /** Accepted and not ended, running ones included. */
  readonly open: number
  /** Synchronous mode: the command in progress. */
  readonly inHand: Address | null
  /** Pipelines that have a file, applied or not. */
  readonly pipelineFiles?: PipelineFiles
}

export interface Submission {
  readonly command: ProcessDataCommand | CloseGroupCommand
  readonly known: Known
}

export interface Retry {
  readonly command: RetryCommand
  readonly items: readonly ShelfItem[]
}

/** Why a command is not admitted, or null. The first reason in this order is the one that is said. */
export function judge(context: Load, { command, known }: Submission): Refusal | null {
  const { configuration } = context
  invariant(configuration, 'asked the queue before a configuration was applied')
  return command.type === 'command.closeGroup'
    ? (judgeGroup(command.group, known, 'combine it by processData, which can name its exposures in members') ??
        (command.pipeline === null ? null : judgeClosing(context, command.pipeline, command.group)) ??
        judgeLoad(context, 0))
    : (judgePipeline(context, command.pipeline, command.dataId.obsid === null ? 'group' : 'exposure') ??
        judgeOptions(context, command) ??
        (command.dataId.obsid === null && !command.members?.length
          ? judgeGroup(command.dataId.group ?? '', known, 'name its exposures in members')
          : null) ??
        judgePrerequisites(command, known) ??
        judgeLoad(context, command.dataId.obsid === null ? 0 : Math.max(1, command.detectors.length)))
}

function judgePipeline(
  { configuration, pipelineFiles = [] }: Pick<Load, 'configuration' | 'pipelineFiles'>,
  name: string,
  over: 'exposure' | 'group',
): Refusal | null {
  const pipelines = configuration?.pipelines ?? {}
  const pipeline = Object.hasOwn(pipelines, name) ? pipelines[name] : undefined
  if (!pipeline)
    return {
      code: 'UNKNOWN_PIPELINE',
      reason: pipelineFiles.includes(name)
        ? `pipelines/${name}.yaml is there and not applied yet; reload applies it (\`ocps reload\`)`
        : `there is no pipeline ${name}; the configuration has ${Object.keys(pipelines).join(', ') || 'none'}`,
    }
  if ((pipeline.scope === 'group') === (over === 'group')) return null
  return {
    code: 'WRONG_SCOPE',
    reason:
      over === 'group'
        ? `${name} works on single exposures; name an obsid, or a pipeline of scope group`
        : `${name} combines a group; name the group in dataId instead of an obsid`,
  }
}

function judgeOptions(context: Load, command: ProcessDataCommand): Refusal | null {
  const { configuration } = context
  invariant(configuration, 'options before a configuration was applied')
  const { pipelines, groups } = configuration
  const pipeline = pipelines[command.pipeline]
  invariant(pipeline, 'options of an unknown pipeline')
  const wrong =
    judgeOverrides({ pipelines }, command.pipeline, command.overrides) ?? judgeVersion(pipeline, command.version)
  if (wrong) return wrong
  if (command.configFile !== null && !pipeline.configFiles.includes(command.configFile))
    return {
      code: 'OVERRIDE_NOT_ALLOWED',
      reason: `${pipeline.name} does not allow the configuration file ${command.configFile}; it allows ${pipeline.configFiles.join(', ') || 'none'}`,
    }
  if (command.timeLimitMs !== null && command.timeLimitMs > pipeline.timeLimitMs)
    return {
      code: 'OVERRIDE_NOT_ALLOWED',
      reason: `${pipeline.name} may run for at most ${pipeline.timeLimitMs / 1000} s; a command may only shorten that`,
    }
  const [detector = null] = command.detectors
  const unfilled = judgeFilling(pipelines, pipeline, { ...command, dataId: { ...command.dataId, detector } })
  if (unfilled) return unfilled
  const closesWith = command.groupRules?.pipeline ?? null
  return closesWith === null || closesWith === groups.pipeline
    ? null
    : judgeClosing(context, closesWith, command.dataId.group ?? '')
}

/** A pipeline that combines a group without options of its own. */
function judgeClosing(context: Load, name: string, group: string): Refusal | null {
  const wrong = judgePipeline(context, name, 'group')
  if (wrong) return wrong
  const { pipelines = {}, instrument = '' } = context.configuration ?? {}
  const pipeline = pipelines[name]
  invariant(pipeline, 'a group closed by an unknown pipeline')
  const dataId = { instrument, obsid: null, group, detector: null }
  return judgeFilling(pipelines, pipeline, { dataId, overrides: {}, configFile: null })
}

function judgeVersion(pipeline: Pipeline, version: string): Refusal | null {
  if (knowsVersion(pipeline, version)) return null
  const { name, versions = [] } = pipeline
  return {
    code: 'UNKNOWN_VERSION',
    reason:
      versions.length === 0
        ? `${name} has no versions to choose from; leave version out, or list those it heeds under versions in its file`
        : `${name} does not know version ${version}; it knows ${versions.join(', ')}`,
  }
}

function judgeOverrides(
  { pipelines }: Pick<Configuration, 'pipelines'>,
  name: string,
  overrides: Work['overrides'],
): Refusal | null {
  const pipeline = pipelines[name]
  invariant(pipeline, 'overrides of an unknown pipeline')
  for (const [key, value] of Object.entries(overrides)) {
    const rule = Object.hasOwn(pipeline.overrides, key) ? pipeline.overrides[key] : undefined
    const wrong = rule
      ? violation(rule, value)
      : `it allows ${Object.keys(pipeline.overrides).join(', ') || 'no overrides'}`
    if (wrong)
      return {
        code: 'OVERRIDE_NOT_ALLOWED',
        reason: `${pipeline.name} does not accept override ${key}=${value}: ${wrong}`,
      }
  }
  return null
}

function violation(rule: OverrideRule, value: OverrideValue): string | null {
  if (typeof value !== rule.type) return `a ${rule.type} is expected`
  if (typeof value === 'number' && rule.minimum !== null && value < rule.minimum)
    return `at least ${rule.minimum} is expected`
  if (typeof value === 'number' && rule.maximum !== null && value > rule.maximum)
    return `at most ${rule.maximum} is expected`
  return null
}

function judgeGroup(group: string, known: Known, way: string): Refusal | null {
  return known[gatherAddress(group)] === 'open'
    ? null
    : {
        code: 'UNKNOWN_GROUP',
        reason: `no exposure of group ${group} was ever accepted here, or it is long finished; ${way}`,
      }
}

function judgePrerequisites({ after }: ProcessDataCommand, known: Known): Refusal | null {
  const missing = after.find(({ jobId }) => known[jobAddress(jobId)] === 'unknown')
  return missing
    ? { code: 'UNKNOWN_JOB', reason: `it is to run after job ${missing.jobId}, which is not known here` }
    : null
}

function judgeLoad(context: Load, jobs: number): Refusal | null {
  const { configuration, open, inHand } = context
  const depth = configuration?.queueDepthMax ?? 0
  if (inHand !== null)
    return {
      code: 'BUSY',
      reason: 'a command is being processed and the mode is synchronous; send it again when that one is complete',
    }
  const waiting = open - runningCount(context)
  if (waiting + jobs > depth)
    return {
      code: 'QUEUE_FULL',
      reason:
        jobs > depth
          ? `it asks for ${jobs} jobs and the queue never holds more than ${depth}; ask for fewer at a time, or raise queueDepth`
          : `${waiting === 1 ? '1 job is' : `${waiting} jobs are`} waiting and the queue holds ${depth}${jobs > 1 ? `, so these ${jobs} do not fit` : ''}; send it again later, or abort some`,
    }
  return null
}

export function judgeRetry(context: Load, { command, items }: Retry): Refusal | null {
  const { configuration } = context
  invariant(configuration, 'asked the queue before a configuration was applied')
  for (const name of new Set(items.map(item => command.pipeline ?? item.pipeline))) {
    const wrong =
      judgePipeline(context, name, 'exposure') ?? judgeOverrides(configuration, name, command.overrides ?? {})
    if (wrong) return wrong
  }
  for (const item of items) {
    const work = workAgain(configuration, command, item)
    const pipeline = configuration.pipelines[work.pipeline]
    invariant(pipeline, 'a retry with an unknown pipeline')
    const wrong = judgeVersion(pipeline, work.version) ?? judgeFilling(configuration.pipelines, pipeline, work)
    if (wrong) return wrong
  }
  return judgeLoad(context, items.length)
}

/**
 * What a retry does: as the command says, else as before, as far as the pipeline allows it; that may be another one, or
 * another configuration's.
 */
export function workAgain(
  { pipelines }: Pick<Configuration, 'pipelines'>,
  command: RetryCommand,
  item: ShelfItem,
): Work {
  const name = command.pipeline ?? item.pipeline
  const pipeline = pipelines[name]
  invariant(pipeline, 'a retry with an unknown pipeline')
  const before: Work = { ...workOf(item), readiness: item.readiness ?? { policy: 'runNow' } }
  const fitted = fittedTo(pipeline, before)
  return {
    ...fitted,
    pipeline: name,
    overrides: command.overrides ?? fitted.overrides,
    // The same pipeline is not quietly run in another version.
    version: command.version ?? (name === item.pipeline ? before.version : fitted.version),
    timeLimitMs: Math.min(before.timeLimitMs, pipeline.timeLimitMs),
  }
}
