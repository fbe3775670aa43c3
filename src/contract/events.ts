import { z } from 'zod'
import { ACK, type AckBody, type Event, type TelemetryAnnouncement } from '../../machines/domain/announcements.ts'
import { exactly } from './exactly.ts'
import { jobIdBody, jobResultBody } from './execute.ts'
import {
  askedFor,
  count,
  cut,
  dataId,
  dataset,
  identity,
  jobIdSaid,
  metric,
  outcome,
  outcomeCode,
  outcomeKind,
  refusalCode,
  time,
} from './shapes.ts'

/**
 * What OCPS says of its own accord, and what it answers to commands: a schema for every acknowledgement, event and
 * telemetry. Where a domain type says the same, the compiler holds the two together.
 */
type BodyOf<T extends Event['topic']> = Extract<Event, { topic: T }>['body']
type TelemetryOf<T extends TelemetryAnnouncement['topic']> = Extract<TelemetryAnnouncement, { topic: T }>['body']

export const ack = exactly<AckBody>()(
  z
    .strictObject({
      ack: z
        .literal(Object.values(ACK))
        .describe(
          '301 in progress, 303 complete, -300 no permission, -301 no answer, -302 failed, -303 aborted, -304 timed out',
        ),
      error: z.literal([0, 1]).describe('1 with a failed acknowledgement'),
      result: z.string().describe('Done, a sentence that begins with Failed, or to execute {"job_id": …}'),
      code: z.union([refusalCode, outcomeCode]).nullable().describe('Why; null when all is well'),
      jobIds: z.array(z.string()).describe('The jobs this command made'),
      timeout: z.number().min(0).describe('With 301: another acknowledgement comes within so many seconds'),
    })
    .describe('The answer to a command; after 301 another one follows'),
)

const metrics = z.array(metric)
const datasets = z.array(dataset)
const verdict = z.string().nullable().describe('What QA thinks of the data; apart from the outcome')
const policy = z.enum(['partial', 'skip', 'fail'])
const where = {
  version: z.string(),
  url: z.string(),
  schemaVersion: z.string(),
}

export const jobState = z.enum(['held', 'queued', 'starting', 'running', 'stopping', 'backingOff', 'settled'])
export const groupState = z.enum(['open', 'closing', 'gathering', 'gathered', 'abandoned'])

export const jobTimes = z
  .strictObject({ accepted: time, queued: time.nullable(), started: time.nullable(), settled: time })
  .describe('Milliseconds since 1970 UTC; null for what never came')

/** The body of each event that the machines announce, as they announce it. */
const announced = {
  summaryState: exactly<BodyOf<'summaryState'>>()(
    z.strictObject({ summaryState: z.int().describe('1 DISABLED, 2 ENABLED, 3 FAULT, 4 OFFLINE, 5 STANDBY') }),
  ),
  errorCode: exactly<BodyOf<'errorCode'>>()(
    z.strictObject({
      errorCode: z.int().describe('0 when there is no fault'),
      errorReport: z.string(),
      traceback: z.string(),
    }),
  ),
  logLevel: exactly<BodyOf<'logLevel'>>()(
    z.strictObject({
      level: z.int().describe('As in Python: 10 debug, 20 info, 30 warning, 40 error'),
      subsystem: z.string(),
    }),
  ),
  simulationMode: exactly<BodyOf<'simulationMode'>>()(
    z.strictObject({ mode: z.int().describe('0 real, 1 simulated') }),
  ),
  softwareVersions: exactly<BodyOf<'softwareVersions'>>()(
    z.strictObject({
      salVersion: z.string(),
      xmlVersion: z.string(),
      cscVersion: z.string(),
      subsystemVersions: z.string().describe('Comma list of name=version'),
    }),
  ),
  configurationsAvailable: exactly<BodyOf<'configurationsAvailable'>>()(
    z.strictObject({ overrides: z.string().describe('Comma list of files that start may name'), ...where }),
  ),
  configurationApplied: exactly<BodyOf<'configurationApplied'>>()(
    z.strictObject({
      configurations: z.string().describe('Comma list of the files read, in order'),
      ...where,
      otherInfo: z.string(),
    }),
  ),
  jobState: exactly<BodyOf<'jobState'>>()(
    z.strictObject({
      jobId: jobIdSaid,
      state: jobState,
      dataId,
      pipeline: z.string(),
      attempt: count,
      outcome: outcomeKind.nullable().describe('Only when settled'),
      note: z.string().describe('Why it is not further; empty when there is nothing to say'),
    }),
  ),
  jobResult: exactly<BodyOf<'jobResult'>>()(
    z.strictObject({
      jobId: jobIdSaid,
      dataId,
      pipeline: z.string(),
      version: z.string(),
      commandId: z.string().describe('The message id of the command that asked for it'),
      attempt: count,
      fellBackFrom: z.array(z.string()).describe('Pipelines that were tried before this one and failed'),
      retryOf: z.string().nullable().describe('The first job of this kind, when this one is a retry'),
      askedAs: z.literal('execute').exactOptional().describe('Only of a job that was asked for with execute'),
      ...askedFor,
      outcome,
      metrics,
      datasets,
      verdict,
      times: jobTimes,
    }),
  ),
  groupState: exactly<BodyOf<'groupState'>>()(
    z.strictObject({
      group: z.string(),
      state: groupState,
      revision: count,
      accepted: count,
      settled: count,
      succeeded: count,
      failed: z.array(identity).describe('Members that ended without success'),
    }),
  ),
  groupResult: exactly<BodyOf<'groupResult'>>()(
    z.strictObject({
      group: z.string(),
      revision: count.describe('1 for the first closing; a later one supersedes it'),
      outcome: z
        .enum(['complete', 'partial', 'skipped', 'failed', 'aborted'])
        .describe(
          'complete: everybody who was promised is combined. partial: some are not. skipped, failed: nothing was, by policy. aborted: stopped',
        ),
      policy,
      closedBy: z.enum(['command', 'expected', 'deadline']),
      message: z.string(),
      members: z.array(
        z.strictObject({
          identity,
          jobId: jobIdSaid.nullable().describe('null for one that was never processed by itself'),
          pipeline: z.string().nullable(),
          outcome: outcomeKind.nullable(),
        }),
      ),
      failed: z.array(identity).describe('Members that ended without success'),
      missing: z.array(identity).describe('Members that had not settled when patience ended'),
      missingCount: count
        .exactOptional()
        .describe('Only where expected exposures never came: how many are missing, those in missing included'),
      detector: z.int().exactOptional().describe('Only where one detector of the group was combined'),
      jobId: jobIdSaid.nullable().describe('The job that combined them; null: none was run'),
      pipeline: z.string().nullable(),
      gather: outcome.nullable().describe('How that job ended'),
      metrics,
      datasets,
      verdict,
    }),
  ),
  displayRequest: exactly<BodyOf<'displayRequest'>>()(
    z.strictObject({
      view: z.string().describe('As the configuration names it'),
      image: dataset
        .extend({ jobId: jobIdSaid, dataId, pipeline: z.string() })
        .nullable()
        .describe('null: there is nothing any more to show'),
    }),
  ),
} satisfies Record<Event['topic'], z.ZodObject>

/** Every event as it is on the wire: with the time, and what was cut where it would not have fitted. */
export const eventSchemas = {
  ...mapped(announced),
  job_id: jobIdBody.extend({ at: time }),
  job_result: jobResultBody.extend({ at: time }),
  // Said by the process itself, without its journal.
  heartbeat: z.strictObject({ heartbeat: z.literal(true), at: time, pid: z.int() }),
  logMessage: z.strictObject({
    name: z.string().describe('The instance'),
    level: z.int().describe('As in Python'),
    message: z.string(),
    traceback: z.string(),
    filePath: z.string(),
    functionName: z.string(),
    lineNumber: z.int(),
    process: z.int(),
    timestamp: z.number().describe('Seconds since 1970 UTC'),
  }),
}

const whose = { at: time, jobId: jobIdSaid, dataId, pipeline: z.string() }

/** Telemetry as it is on the wire. */
export const telemetrySchemas = {
  metric: exactly<TelemetryOf<'metric'>>()(metric).extend(whose),
  dataset: exactly<TelemetryOf<'dataset'>>()(dataset).extend(whose),
  progress: exactly<TelemetryOf<'progress'>>()(
    z.strictObject({
      fraction: z.number().nullable().describe('0…1; null: the pipeline does not know'),
      note: z.string(),
    }),
  ).extend(whose),
  verdict: exactly<TelemetryOf<'verdict'>>()(z.strictObject({ verdict: z.string() })).extend(whose),
  badReport: exactly<TelemetryOf<'badReport'>>()(
    z.strictObject({ reason: z.string().describe('Why a line of the reports file is no report') }),
  ).extend(whose),
} satisfies Record<TelemetryAnnouncement['topic'], z.ZodObject>

type OnTheWire<S extends z.ZodObject> = z.ZodObject<S['shape'] & { at: typeof time; cut: typeof cut }, z.core.$strict>

function mapped<S extends Record<string, z.ZodObject>>(bodies: S): { [T in keyof S]: OnTheWire<S[T]> } {
  const entries = Object.entries(bodies).map(([topic, body]) => [topic, body.extend({ at: time, cut })])
  return Object.fromEntries(entries) as { [T in keyof S]: OnTheWire<S[T]> }
}
