import { z } from 'zod'
import { commandSchemas, type CommandName } from './commands.ts'
import { configurationSchema, pipelineSchema } from './configuration.ts'
import { ack, eventSchemas, telemetrySchemas } from './events.ts'
import { executeResult, executeSchemas } from './execute.ts'
import { imageInOODS } from './oods.ts'
import { querySchemas } from './queries.ts'

/**
 * Every message on the wire and every file, by name: its schema and what it is about. The documents for other languages
 * are made from this list; it says nothing the schemas do not.
 */
export interface Described {
  readonly name: string
  readonly kind: Kind
  readonly about: string
  readonly schema: z.ZodType
}

export type Kind =
  | 'file'
  | 'command'
  | 'acknowledgement'
  | 'event'
  | 'telemetry'
  | 'question'
  | 'answer'
  | 'text'
  | 'heard'

export type EventTopic = keyof typeof eventSchemas
export type TelemetryTopic = keyof typeof telemetrySchemas

const COMMANDS: Readonly<Record<CommandName | keyof typeof executeSchemas, string>> = {
  start: 'STANDBY: reads the configuration and goes to DISABLED',
  reload: 'DISABLED, ENABLED: applies the files as they are now; what is open goes on',
  enable: 'DISABLED: accepts work',
  disable: 'ENABLED: running jobs go on, queued jobs are held',
  standby: 'DISABLED, FAULT: aborts everything still open, each with its result',
  exitControl: 'STANDBY: goes OFFLINE and ends the process',
  setLogLevel: 'any state: which log messages are said as events',
  processData: 'ENABLED: one job, one per detector, or the closing of a group',
  abortJob: 'ENABLED: stops a job wherever it is',
  closeGroup: 'ENABLED: closes a group, with or without a pipeline',
  retry: 'ENABLED: runs again what ended without success',
  pause: 'ENABLED: nothing new starts',
  resume: 'ENABLED: what waits starts again',
  execute: 'ENABLED: one job over one exposure, as scripts for the Python OCPS ask for it',
  abort_job: 'ENABLED: abortJob, as scripts for the Python OCPS ask for it',
}

const EVENTS: Readonly<Record<EventTopic, string>> = {
  summaryState: 'The state of the CSC',
  errorCode: 'Why it is in FAULT; 0 when it is not',
  logLevel: 'From which level on log messages are said',
  simulationMode: 'Whether pipelines are really run; said once',
  softwareVersions: 'What is running; said once',
  configurationsAvailable: 'What start may name',
  configurationApplied: 'What start has read',
  jobState: 'Where a job is',
  jobResult: 'How a job ended, once and truly',
  groupState: 'Where a group is',
  groupResult: 'What became of a group; a later revision supersedes',
  displayRequest: 'What a view is asked to show',
  job_id: 'The job a command execute made',
  job_result: 'How a job that execute asked for ended',
  heartbeat: 'Once a second, whatever else goes on',
  logMessage: 'A line of the log at or above the log level',
}

const TELEMETRY: Readonly<Record<TelemetryTopic, string>> = {
  metric: 'A number a running job measured',
  dataset: 'A file a running job made',
  progress: 'How far a running job is',
  verdict: 'What a running job thinks of its data',
  badReport: 'A line of a running job that is no report',
}

// Said by others: as far as it is needed here (ctrl_oods oods_csc.py; ts_xml CCCamera, ATCamera). Whatever else they
// hold is passed over.
const image = z.object({ imageName: z.string().describe('The obsid') })

/** What OCPS and observing scripts hear of others. */
export const heardSchemas = {
  imageInOODS,
  startIntegration: image.describe('An exposure begins'),
  endReadout: image.describe('An exposure is read out'),
} as const

export const catalogue: readonly Described[] = [
  described(
    'configuration',
    'file',
    '_init.yaml, the layers of sites, overrides: all keys of all of them',
    configurationSchema,
  ),
  described('pipeline', 'file', 'pipelines/<name>.yaml', pipelineSchema),
  ...each(COMMANDS, 'command', { ...commandSchemas, ...executeSchemas }),
  described('ack', 'acknowledgement', 'The answer to a command', ack),
  ...each(EVENTS, 'event', eventSchemas),
  described('executeResult', 'text', 'The text result of job_result, read as JSON', executeResult),
  ...each(TELEMETRY, 'telemetry', telemetrySchemas),
  ...Object.entries(querySchemas).flatMap(([name, { about, request, answer }]) => [
    described(`qry.${name}`, 'question', about, request),
    described(`qry.${name}.answer`, 'answer', about, answer),
  ]),
  described('imageInOODS', 'heard', 'An image was ingested, or was not (ctrl_oods)', imageInOODS),
  described('startIntegration', 'heard', 'An exposure begins (camera)', heardSchemas.startIntegration),
  described('endReadout', 'heard', 'An exposure is read out (camera)', heardSchemas.endReadout),
]

/** As JSON Schema, draft 2020-12. */
export function jsonSchemaOf({ name, kind, about, schema }: Described): object {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    override: isSaid(kind) ? bearNewFields : () => {},
  })
  return { $schema, title: name, description: about, ...rest }
}

/** What OCPS hears must hold nothing it does not know; who hears OCPS must bear what a later version adds. */
export function isSaid(kind: Kind): boolean {
  return kind !== 'file' && kind !== 'command' && kind !== 'question'
}

export function bearNewFields({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
}

function described(name: string, kind: Kind, about: string, schema: z.ZodType): Described {
  return { name, kind, about, schema }
}

function each<N extends string>(
  about: Readonly<Record<N, string>>,
  kind: Kind,
  schemas: Readonly<Record<N, z.ZodType>>,
) {
  return Object.entries<z.ZodType>(schemas).map(([name, schema]) => described(name, kind, about[name as N], schema))
}
