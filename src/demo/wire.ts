// What a display hears: a message of the wire or a line of the observing script, read into one of the few things the
// demo shows. Anything else is null; nothing here fails.

import { z } from 'zod'
import { SUMMARY_STATE } from '../../machines/domain/summaryState.ts'
import { imageInOODS } from '../contract/oods.ts'
import { type Step, stepSchema } from '../sim/steps.ts'

const value = z.union([z.number(), z.string(), z.null()])
const metric = z.object({ metric: z.string(), value, unit: z.string() })
const dataset = z.object({ dataset: z.string(), path: z.string(), mime: z.string() })
const dataId = z.object({ obsid: z.string().nullable(), group: z.string().nullable() })
const outcome = z.object({ kind: z.string(), message: z.string() })

const jobState = z.object({ jobId: z.string(), state: z.string(), dataId, pipeline: z.string() })
const jobResult = z.object({
  jobId: z.string(),
  dataId,
  pipeline: z.string(),
  outcome,
  metrics: z.array(metric),
  datasets: z.array(dataset),
  times: z.object({ accepted: z.number(), started: z.number().nullable(), settled: z.number() }),
})
const groupState = z.object({ group: z.string(), state: z.string(), accepted: z.int(), settled: z.int() })
const groupResult = z.object({
  group: z.string(),
  outcome: z.string(),
  message: z.string(),
  jobId: z.string().nullable(),
  metrics: z.array(metric),
  datasets: z.array(dataset),
})
const progress = z.object({ jobId: z.string(), fraction: z.number().nullable(), note: z.string() })
const metricOfJob = metric.extend({ jobId: z.string() })
const startIntegration = z.object({ imageName: z.string(), exposureTime: z.number() })
const endReadout = z.object({ imageName: z.string() })
const summaryState = z.object({ summaryState: z.int() })

export type JobStateHeard = z.infer<typeof jobState>
export type JobResultHeard = z.infer<typeof jobResult>
export type GroupResultHeard = z.infer<typeof groupResult>
export type GroupStateHeard = z.infer<typeof groupState>
export type MetricHeard = z.infer<typeof metric>

export type WireMessage =
  | { readonly type: 'summaryState'; readonly name: string }
  | { readonly type: 'jobState'; readonly job: JobStateHeard }
  | { readonly type: 'jobResult'; readonly result: JobResultHeard }
  | { readonly type: 'groupState'; readonly group: GroupStateHeard }
  | { readonly type: 'groupResult'; readonly result: GroupResultHeard }
  | { readonly type: 'progress'; readonly jobId: string; readonly fraction: number | null; readonly note: string }
  | { readonly type: 'metric'; readonly jobId: string; readonly metric: MetricHeard }
  | { readonly type: 'startIntegration'; readonly obsid: string; readonly exposureTime: number }
  | { readonly type: 'endReadout'; readonly obsid: string }
  | { readonly type: 'imageInOODS'; readonly obsid: string; readonly ok: boolean; readonly description: string }
  | { readonly type: 'step'; readonly step: Step }

export function numberOf(metrics: Readonly<Record<string, MetricHeard>>, name: string): number | null {
  const value = metrics[name]?.value
  return typeof value === 'number' ? value : null
}

export function byName(metrics: readonly MetricHeard[]): Record<string, MetricHeard> {
  return Object.fromEntries(metrics.map(metric => [metric.metric, metric]))
}

/** Reads a message by its subject: `ocps.*`, `camera.*` or `oods.*`. */
export function fromWire(subject: string, body: unknown): WireMessage | null {
  const [system, , kind, topic] = subject.split('.')
  switch (`${system}.${kind}.${topic}`) {
    case 'ocps.evt.summaryState':
      return as(summaryState, body, ({ summaryState: number }) => ({
        type: 'summaryState',
        name: nameOf(number),
      }))
    case 'ocps.evt.jobState':
      return as(jobState, body, job => ({ type: 'jobState', job }))
    case 'ocps.evt.jobResult':
      return as(jobResult, body, result => ({ type: 'jobResult', result }))
    case 'ocps.evt.groupState':
      return as(groupState, body, group => ({ type: 'groupState', group }))
    case 'ocps.evt.groupResult':
      return as(groupResult, body, result => ({ type: 'groupResult', result }))
    case 'ocps.tel.progress':
      return as(progress, body, said => ({ type: 'progress', ...said }))
    case 'ocps.tel.metric':
      return as(metricOfJob, body, ({ jobId, ...one }) => ({ type: 'metric', jobId, metric: one }))
    case 'camera.evt.startIntegration':
      return as(startIntegration, body, ({ imageName, exposureTime }) => ({
        type: 'startIntegration',
        obsid: imageName,
        exposureTime,
      }))
    case 'camera.evt.endReadout':
      return as(endReadout, body, ({ imageName }) => ({ type: 'endReadout', obsid: imageName }))
    case 'oods.evt.imageInOODS':
      return as(imageInOODS, body, ({ obsid, statusCode, description }) => ({
        type: 'imageInOODS',
        obsid,
        ok: statusCode === 0,
        description,
      }))
    default:
      return null
  }
}

/** Reads a line of the observing script's stdout. */
export function fromScript(line: string): WireMessage | null {
  try {
    return as(stepSchema, JSON.parse(line), step => ({ type: 'step', step }))
  } catch {
    return null
  }
}

function nameOf(number: number): string {
  return Object.entries(SUMMARY_STATE).find(([, value]) => value === number)?.[0] ?? String(number)
}

function as<T>(schema: z.ZodType<T>, body: unknown, make: (value: T) => WireMessage): WireMessage | null {
  const read = schema.safeParse(body)
  return read.success ? make(read.data) : null
}
