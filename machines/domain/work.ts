import type { DataId } from './dataId.ts'
import type { OverrideValue, Pipeline } from './pipeline.ts'
import { knowsVersion } from './versions.ts'

/**
 * What a job is to do. A command asks for it, and it goes whole from there to the queue, the job, the shelf and the
 * executor. Whatever carries it holds its fields beside its own, in the journal too; workOf takes it out again, so that
 * a new field is named here and where it is used. Such a field is optional: older journals do not have it.
 */
export interface Work {
  readonly dataId: DataId
  /** By name; whoever runs it has the pipeline itself. */
  readonly pipeline: string
  readonly overrides: Readonly<Record<string, OverrideValue>>
  readonly configFile: string | null
  /** '' for the site's default. */
  readonly version: string
  /** Higher runs sooner; -9…9, 0 unless said. */
  readonly priority: number
  readonly timeLimitMs: number
  readonly readiness: Readiness
}

/** As a command asks for it: perhaps for several detectors, each of which becomes the work of a job. */
export interface RequestedWork extends Omit<Work, 'dataId' | 'timeLimitMs'> {
  readonly dataId: Omit<DataId, 'detector'>
  /**
   * One job for each; empty for one job over the whole exposure. With a group alone: the one detector that is combined,
   * or none.
   */
  readonly detectors: readonly number[]
  /** Milliseconds; null for the pipeline's own. */
  readonly timeLimitMs: number | null
}

/**
 * runNow: start whatever the data's state (DMTN-133). waitFor: until they are ingested or the time is up, then skip.
 * skip: only if they are there now.
 */
export type Readiness =
  | { readonly policy: 'runNow' }
  | { readonly policy: 'waitFor'; readonly waitMs: number }
  | { readonly policy: 'skip' }

/** What the executor needs of it: all but what the queue and the job heed themselves. */
export type Task = Omit<Work, 'pipeline' | 'priority' | 'timeLimitMs' | 'readiness'>

/**
 * What a closing command says about the job that combines the group; which data that is, when it runs and after whom is
 * the group's business.
 */
export type GatherOptions = Omit<Work, 'dataId' | 'pipeline' | 'priority' | 'readiness' | 'timeLimitMs'> &
  Pick<RequestedWork, 'timeLimitMs'>

// The order of the fields is that of an item of the shelf and of a start order: digests are of their text.
const FIELDS = Object.keys({
  dataId: true,
  pipeline: true,
  overrides: true,
  configFile: true,
  version: true,
  priority: true,
  timeLimitMs: true,
  readiness: true,
} satisfies Record<keyof Work, true>) as (keyof Work)[]

/** Its fields out of what carries it, such as a command or a job; `less` are left out. */
export function workOf<C extends { readonly [K in keyof Work]?: unknown }, L extends keyof Work = never>(
  carrier: C,
  ...less: readonly L[]
): Pick<C, Exclude<keyof C & keyof Work, L>> {
  const work: Partial<Record<keyof Work, unknown>> = {}
  for (const field of FIELDS)
    if (carrier[field] !== undefined && !(less as readonly string[]).includes(field)) work[field] = carrier[field]
  return work as Pick<C, Exclude<keyof C & keyof Work, L>>
}

/** What a command asks for, one for each of its detectors. */
export function worksOf(command: RequestedWork, pipeline: Pipeline): Work[] {
  const { dataId, detectors } = command
  const work = { ...workOf(command), timeLimitMs: command.timeLimitMs ?? pipeline.timeLimitMs }
  return (detectors.length === 0 ? [null] : detectors).map(detector => ({ ...work, dataId: { ...dataId, detector } }))
}

export function taskOf(carrier: Task): Task {
  return workOf(carrier, 'pipeline', 'priority', 'timeLimitMs', 'readiness')
}

export function gatherOptionsOf(command: RequestedWork): GatherOptions {
  return workOf(command, 'dataId', 'pipeline', 'priority', 'readiness')
}

/** The work as far as another pipeline knows it: nothing is said to have been used that it does not heed. */
export function fittedTo<W extends Pick<Work, 'overrides' | 'configFile' | 'version'>>(pipeline: Pipeline, work: W): W {
  const { overrides, configFile, version } = work
  return {
    ...work,
    overrides: Object.fromEntries(Object.entries(overrides).filter(([key]) => Object.hasOwn(pipeline.overrides, key))),
    configFile: configFile !== null && pipeline.configFiles.includes(configFile) ? configFile : null,
    version: knowsVersion(pipeline, version) ? version : '',
  }
}
