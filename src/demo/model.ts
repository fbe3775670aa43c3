// What the demo shows, as plain data: everything heard so far, folded into one picture. Pure; who listens is demo.ts,
// how it looks is render.ts.

import {
  byName,
  type GroupResultHeard,
  type GroupStateHeard,
  type WireMessage,
  type JobResultHeard,
  type MetricHeard,
} from './wire.ts'
import type { Step } from '../sim/steps.ts'
import { lineOf, type StoryLine } from './story.ts'

export interface Model {
  readonly instance: string
  /** Milliseconds since 1970 UTC, as all times here. */
  readonly began: number
  readonly summaryState: string
  readonly plan: { readonly exposures: number; readonly exposureTime: number; readonly pace: number }
  readonly group: string | null
  /** In the order they were begun. */
  readonly exposures: readonly Exposure[]
  readonly groupState: GroupStateHeard | null
  /** The job that combines the group, from its first sign of life. */
  readonly stack: Job | null
  readonly groupResult: GroupResultHeard | null
  readonly story: readonly StoryLine[]
}

export interface Exposure {
  readonly obsid: string
  readonly exposureTime: number
  readonly begun: number
  readonly image: 'exposing' | 'read out' | 'in OODS'
  /** When the OODS said so. */
  readonly ingested: number | null
  readonly job: Job | null
}

export interface Job {
  readonly jobId: string
  readonly pipeline: string
  readonly state: string
  /** 0…1 */
  readonly fraction: number
  readonly note: string
  readonly metrics: Readonly<Record<string, MetricHeard>>
  readonly result: JobResultHeard | null
}

export function emptyModel(start: Pick<Model, 'instance' | 'began' | 'plan'>): Model {
  return {
    ...start,
    summaryState: 'STARTING',
    group: null,
    exposures: [],
    groupState: null,
    stack: null,
    groupResult: null,
    story: [{ at: start.began, who: 'OCPS', text: 'starts, with a NATS server of its own and a simulated telescope' }],
  }
}

export function hear(model: Model, heard: WireMessage, at: number): Model {
  const next = taken(model, heard, at)
  const line = lineOf(next, heard, at)
  return line === null ? next : { ...next, story: [...next.story, line] }
}

/** Everything a table would show is here. */
export function isComplete({ groupResult, exposures, plan }: Model): boolean {
  return (
    groupResult !== null &&
    exposures.length >= plan.exposures &&
    exposures.every(({ job }) => job?.result !== undefined && job.result !== null)
  )
}

function taken(model: Model, heard: WireMessage, at: number): Model {
  switch (heard.type) {
    case 'summaryState':
      return { ...model, summaryState: heard.name }
    case 'startIntegration': {
      const { obsid, exposureTime } = heard
      const exposure: Exposure = { obsid, exposureTime, begun: at, image: 'exposing', ingested: null, job: null }
      return { ...model, exposures: [...model.exposures, exposure] }
    }
    case 'endReadout':
      return ofExposure(model, heard.obsid, exposure => ({ ...exposure, image: 'read out' }))
    case 'imageInOODS':
      if (!heard.ok) return model
      return ofExposure(model, heard.obsid, exposure => ({
        ...exposure,
        image: 'in OODS',
        ingested: exposure.ingested ?? at,
      }))
    case 'jobState': {
      const { jobId, state, pipeline, dataId } = heard.job
      const job = (before: Job | null): Job => ({ ...(before ?? emptyJob(jobId, pipeline)), state })
      return dataId.obsid === null
        ? { ...model, stack: job(model.stack) }
        : ofExposure(model, dataId.obsid, exposure => ({ ...exposure, job: job(exposure.job) }))
    }
    case 'progress':
      return ofJob(model, heard.jobId, job => ({
        ...job,
        fraction: heard.fraction ?? job.fraction,
        note: heard.note,
      }))
    case 'metric':
      return ofJob(model, heard.jobId, job => ({
        ...job,
        metrics: { ...job.metrics, [heard.metric.metric]: heard.metric },
      }))
    case 'jobResult': {
      const { result } = heard
      return ofJob(model, result.jobId, job => ({ ...job, state: 'settled', metrics: byName(result.metrics), result }))
    }
    case 'groupState':
      return { ...model, groupState: heard.group }
    case 'groupResult':
      return { ...model, groupResult: heard.result }
    case 'step':
      return decided(model, heard.step)
  }
}

/** What only the script knows. */
function decided(model: Model, step: Step): Model {
  switch (step.step) {
    // An instance that is enabled already has nothing new to say.
    case 'enabled':
      return { ...model, summaryState: 'ENABLED' }
    case 'group': {
      const { group, exposures, exposureTime } = step
      return { ...model, group, plan: { ...model.plan, exposures, exposureTime } }
    }
    case 'exposing':
    case 'ingested':
    case 'accepted':
    case 'metric':
    case 'result':
    case 'closing':
    case 'combined':
      return model
  }
}

function emptyJob(jobId: string, pipeline: string): Job {
  return { jobId, pipeline, state: 'queued', fraction: 0, note: '', metrics: {}, result: null }
}

function ofExposure(model: Model, obsid: string, change: (exposure: Exposure) => Exposure): Model {
  return {
    ...model,
    exposures: model.exposures.map(exposure => (exposure.obsid === obsid ? change(exposure) : exposure)),
  }
}

function ofJob(model: Model, jobId: string, change: (job: Job) => Job): Model {
  if (model.stack?.jobId === jobId) return { ...model, stack: change(model.stack) }
  return {
    ...model,
    exposures: model.exposures.map(exposure =>
      exposure.job?.jobId === jobId ? { ...exposure, job: change(exposure.job) } : exposure,
    ),
  }
}
