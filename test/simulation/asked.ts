import type { CloseGroupCommand, Command, ProcessDataCommand, RetryCommand } from '../../machines/domain/commands.ts'
import { capacityOf, type Configuration } from '../../machines/domain/configuration.ts'
import { dayObs, type DataId } from '../../machines/domain/dataId.ts'
import type { Pipeline } from '../../machines/domain/pipeline.ts'
import type { Entry } from '../../src/journal/entry.ts'

/**
 * What was asked, read from the commands in the journal and the configuration in force: which jobs each command leads
 * to, and what each of them has to be. It also keeps the shelf with pencil and paper, because a retry asks for what
 * lies there. Nothing in it comes from what the machines say.
 */
export interface Asked {
  journaled(entry: Entry): void
  command(callerId: string): Command | undefined
  /** What a job has to be, when it is opened; undefined: nobody asked for it. */
  plan(jobId: string, configuration: Configuration): Plan | undefined
  /** The command that led to a job. */
  commandOf(jobId: string): JobCommand | undefined
  /** A retry reaches the shelf: it is to find these. */
  retry(command: RetryCommand): number
  /** A job ended without success and may be retried. */
  shelve(plan: Plan, acceptedAt: number): void
}

type JobCommand = ProcessDataCommand | CloseGroupCommand | RetryCommand

/** A job as it was asked for. */
export interface Plan {
  readonly jobId: string
  readonly commandId: string
  readonly retryOf: string | null
  readonly dataId: DataId
  /** The pipeline, and those to fall back on. */
  readonly chain: readonly Pipeline[]
  /** Of the first pipeline; the others have their own. */
  readonly timeLimitMs: number
  readonly priority: number
  readonly version: string
  readonly overrides: ProcessDataCommand['overrides']
  readonly configFile: string | null
  readonly after: ProcessDataCommand['after']
  readonly readiness: ProcessDataCommand['readiness']
  /** There, where jobs are handed over in advance. */
  readonly capacity: number | undefined
  readonly isGather: boolean
}

interface Shelved {
  readonly plan: Plan
  readonly at: number
}

export function createAsked(): Asked {
  const byStem = new Map<string, JobCommand>()
  const byCaller = new Map<string, Command>()
  const found = new Map<string, readonly Shelved[]>()
  let shelf: Shelved[] = []

  return {
    journaled({ what }) {
      if (!('caller' in what)) return
      byCaller.set(what.caller.id, what)
      if ('jobId' in what && what.type !== 'command.abortJob') byStem.set(what.jobId, what)
    },
    command: id => byCaller.get(id),
    commandOf: jobId => byStem.get(stemOf(jobId)),
    plan(jobId, configuration) {
      const command = byStem.get(stemOf(jobId))
      const rest = jobId.slice(stemOf(jobId).length)
      if (command?.type === 'command.processData') return planned(jobId, rest, command, configuration)
      if (command?.type !== 'command.retry') return undefined
      const item = found.get(command.jobId)?.[Number(rest.slice('-r'.length)) - 1]
      if (item === undefined || !shelf.includes(item)) return undefined
      shelf = shelf.filter(one => one !== item)
      return replanned(jobId, item.plan, command, configuration)
    },
    retry(command) {
      const items = shelf.filter(item => isMeant(item, command.of))
      found.set(command.jobId, items)
      return items.length
    },
    shelve(plan, at) {
      shelf.push({ plan, at })
    },
  }
}

/** `20261122-000017-r2` was made by the command that was given `20261122-000017`. */
function stemOf(jobId: string): string {
  return jobId.split('-').slice(0, 2).join('-')
}

function planned(
  jobId: string,
  rest: string,
  command: ProcessDataCommand,
  configuration: Configuration,
): Plan | undefined {
  const detector = rest === '' ? null : Number(rest.slice(1))
  const isAsked = detector === null ? command.detectors.length === 0 : command.detectors.includes(detector)
  const chain = chainOf(configuration, command.pipeline)
  const [first] = chain
  if (!isAsked || first === undefined) return undefined
  return {
    jobId,
    commandId: command.caller.id,
    retryOf: null,
    dataId: { ...command.dataId, detector },
    chain,
    timeLimitMs: command.timeLimitMs ?? first.timeLimitMs,
    priority: command.priority,
    version: command.version,
    overrides: command.overrides,
    configFile: command.configFile,
    after: command.after,
    readiness: command.readiness,
    ...capacityIn(configuration),
    isGather: false,
  }
}

function replanned(jobId: string, plan: Plan, command: RetryCommand, configuration: Configuration): Plan | undefined {
  const chain = chainOf(configuration, command.pipeline ?? plan.chain[0]?.name ?? '')
  const [first] = chain
  if (first === undefined) return undefined
  return {
    ...plan,
    jobId,
    commandId: command.caller.id,
    retryOf: plan.retryOf ?? plan.jobId,
    chain,
    timeLimitMs: Math.min(plan.timeLimitMs, first.timeLimitMs),
    version: command.version ?? plan.version,
    after: [],
    ...capacityIn(configuration),
  }
}

export function chainOf({ pipelines }: Configuration, name: string): Pipeline[] {
  const first = pipelines[name]
  return first === undefined ? [] : [first, ...first.fallback.flatMap(other => pipelines[other] ?? [])]
}

export function capacityIn(configuration: Configuration): Pick<Plan, 'capacity'> {
  return { capacity: capacityOf(configuration).capacity }
}

function isMeant({ plan: { jobId, dataId }, at }: Shelved, of: RetryCommand['of']): boolean {
  if (of.by === 'jobId') return jobId === of.jobId
  if (of.by === 'obsid') return dataId.obsid === of.obsid
  return of.by === 'group' ? dataId.group === of.group : dayObs(at) === of.dayObs
}
