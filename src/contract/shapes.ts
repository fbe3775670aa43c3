import { z } from 'zod'
import type { DataId } from '../../machines/domain/dataId.ts'
import { OUTCOME_CODES, type Outcome } from '../../machines/domain/outcome.ts'
import { REFUSALS } from '../../machines/domain/refusals.ts'
import type { Dataset, Metric } from '../../machines/domain/reports.ts'
import { exactly } from './exactly.ts'

/**
 * What many messages hold: each shape once, with the words that explain its fields to a reader of the generated
 * documents.
 */

export const time = z.int().describe('Milliseconds since 1970 UTC')
export const count = z.int().min(0)
export const jobIdSaid = z
  .string()
  .describe('As OCPS gave it, such as 20261122-000017, or 20261122-000017-94 for one detector')
export const identity = z.string().describe('A member of a group: an obsid, or obsid/detector')

export const dataId = exactly<DataId>()(
  z
    .strictObject({
      instrument: z.string(),
      obsid: z.string().nullable().describe('null for a group as a whole'),
      group: z.string().nullable().describe('null outside any group'),
      detector: z.int().nullable().describe('null for the whole exposure'),
    })
    .meta({ id: 'DataId', description: 'What data a job works on, spelled as DMTN-133 and the Butler spell it' }),
)

export const metric = exactly<Metric>()(
  z
    .strictObject({
      metric: z.string(),
      value: z
        .union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])])
        .nullable()
        .describe('JSON has no NaN and no infinities, so these are words; null: not measured'),
      unit: z.string().describe('As astropy spells it; empty for none'),
    })
    .meta({ id: 'Metric' }),
)

export const dataset = exactly<Dataset>()(
  z
    .strictObject({
      dataset: z.string(),
      path: z.string().describe("Relative to the job's directory"),
      mime: z.string(),
    })
    .meta({ id: 'Dataset', description: 'A file a pipeline made' }),
)

export const outcomeKind = z.enum(['succeeded', 'failed', 'timedOut', 'aborted', 'lost', 'skipped'])
export const outcomeCode = z.enum(keysOf(OUTCOME_CODES))
export const refusalCode = z.enum(keysOf(REFUSALS))

const usage = z
  .strictObject({
    wallMs: z.number().nullable().describe('From start to end, milliseconds'),
    cpuMs: z.number().nullable().describe('User and system time, milliseconds'),
    peakMemoryKiB: z.number().nullable(),
    stdoutBytes: z.number().nullable(),
    stderrBytes: z.number().nullable(),
    stoppedBy: z.enum(['SIGTERM', 'SIGKILL']).nullable().describe('The signal OCPS had to use, if any'),
    survivors: z.number().nullable().describe("Processes of the job's group found alive after its end"),
  })
  .describe('What the process used; null: the runner of its pool cannot tell')

export const outcome = exactly<Outcome>()(
  z
    .strictObject({
      kind: outcomeKind,
      code: outcomeCode.describe('Why, where the kind alone does not say'),
      message: z.string().describe('What happened, to what, and what to do next; one sentence for a person'),
      exitCode: z.int().nullable(),
      signal: z.string().nullable(),
      usage: usage.nullable().describe('null: it never ran, or nothing tells'),
    })
    .meta({ id: 'Outcome', description: 'How a job ended; never what is thought of its data' }),
)

/** What a job was asked to do, by whom, and where it did it. */
export const askedFor = {
  askedBy: z
    .string()
    .nullable()
    .describe('Whose command asked for it, as they call themselves; null where none did, as for a job that gathers'),
  overrides: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  configFile: z.string().nullable(),
  directory: z
    .string()
    .nullable()
    .describe('Where its outputs are, under workDir of the query state; null where nothing of it ever ran'),
}

/** How long each list was that was shortened because the message would have been too large. */
export const cut = z
  .record(z.string(), count)
  .exactOptional()
  .describe('Lists that were shortened to fit into one message, and how long each was')

function keysOf<T extends object>(list: T): (keyof T & string)[] {
  return Object.keys(list) as (keyof T & string)[]
}
