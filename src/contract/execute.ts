import { z } from 'zod'
import { exposureNumbers } from '../../machines/domain/dataId.ts'
import type { ProcessDataCommand } from '../../machines/domain/commands.ts'
import type { OverrideValue } from '../../machines/domain/pipeline.ts'
import { checkCommand, type Checked, type CommandBody } from './commands.ts'
import { type NamedData, readDataQuery } from './dataQuery.ts'
import { jobId } from './fields.ts'
import { askedFor, outcome } from './shapes.ts'

/**
 * The commands of the Python OCPS, `execute` and `abort_job`, as scripts that exist send them (ts_xml OCPS_Commands;
 * what its fields came to mean is in dm_OCPS), put into the words of ours. What has no such words is refused with a
 * sentence: it is never dropped, and never guessed at.
 */

const FIELD_MAX = 4_096
const field = z.string().max(FIELD_MAX)

export const execute = z
  .strictObject({
    pipeline: field.describe('The name of a pipeline of the configuration, with or without .yaml'),
    version: field.optional().describe('As in processData'),
    config: field
      .optional()
      .describe(
        'Overrides key=value and at most one configuration file, divided by spaces; -c before an override is passed over',
      ),
    data_query: field.describe(
      "One exposure and perhaps one detector, such as instrument='LATISS' AND exposure=2026112200017 AND detector=0",
    ),
    prereq_jobs: field.optional().describe('Job ids divided by commas; they must have ended, with success or not'),
    output_dataset_types: field
      .optional()
      .describe(
        'Passed on as the override output_dataset_types, which the pipeline has to allow; nothing and * mean all',
      ),
  })
  .describe('One job over one exposure; answered INPROGRESS with its id, and for good when it has ended')

export const abort_job = z.strictObject({ job_id: jobId })

/** By their names on the wire. */
export const executeSchemas = { execute, abort_job } as const

/** The event job_id: which job a command made. */
export const jobIdBody = z.strictObject({
  event_name: z.literal('cmd_execute'),
  seq_num: z.int().describe('The number of the command in the journal'),
  job_id: z.string(),
})
export type JobIdBody = z.output<typeof jobIdBody>

/** The event job_result. */
export const jobResultBody = z.strictObject({
  job_id: z.string(),
  exit_code: z.int().describe("0 succeeded, 255 aborted, else the pipeline's own, or 1 where it has none"),
  result: z.string().describe('JSON: see the schema executeResult'),
})
export type JobResultBody = z.output<typeof jobResultBody>

/** What the text `result` of job_result holds, however the job ended. */
export const executeResult = z
  .strictObject({
    jobId: z.string(),
    runId: z.string().describe('The message id of the command'),
    phase: z.enum(['completed', 'error', 'aborted']),
    executionDuration: z.number().describe('Seconds'),
    errorSummary: z.strictObject({ message: z.string().describe('Empty for success') }),
    outcome: outcome.omit({ message: true, usage: true }).meta({ description: 'As in jobResult' }),
    verdict: z.string().nullable(),
    version: z.string(),
    ...askedFor,
  })
  .describe('The text result of job_result, read as JSON')
export type ExecuteResult = z.output<typeof executeResult>

/** A command in our words, or what is wrong with it, by field. */
export function mapExecute(name: keyof typeof executeSchemas, body: unknown, instance: string): Checked {
  if (name === 'abort_job') {
    const asked = abort_job.safeParse(body)
    return asked.success
      ? { ok: true, command: { type: 'command.abortJob', jobId: asked.data.job_id, askedAs: 'abort_job' } }
      : { ok: false, error: asked.error }
  }
  const asked = execute.safeParse(body)
  if (!asked.success) return { ok: false, error: asked.error }
  const wrong: [field: string, reason: string][] = []
  const mapped = bodyOf(asked.data, instance, (name, reason) => wrong.push([name, reason]))
  if (wrong.length > 0) return { ok: false, error: problems(wrong) }
  const checked = checkCommand('processData', mapped, instance)
  if (!checked.ok) return { ok: false, error: inSentFields(checked.error) }
  const { command } = checked
  return command.type === 'command.processData'
    ? { ok: true, command: { ...command, askedAs: 'execute' } }
    : { ok: true, command }
}

/** Which field of execute a field of processData was made from. */
const SENT_IN: Readonly<Record<string, keyof z.output<typeof execute>>> = {
  dataId: 'data_query',
  overrides: 'config',
  configFile: 'config',
  after: 'prereq_jobs',
}

/** What is wrong, by the fields that were sent. */
function inSentFields({ issues }: z.ZodError): z.ZodError {
  return new z.ZodError(
    issues.map(issue => {
      const [first, ...rest] = issue.path
      const sent = SENT_IN[String(first)]
      return sent === undefined ? issue : { ...issue, path: [sent, ...rest] }
    }),
  )
}

/** What a script sent, from what was understood: read again it means the same. */
export function executeBody(command: ProcessDataCommand): z.input<typeof execute> {
  const { dataId, detectors, pipeline, overrides, configFile, version, after } = command
  const config = [
    ...Object.entries(overrides).map(([key, value]) => `${key}=${spelled(value)}`),
    ...(configFile === null ? [] : [configFile]),
  ].join(' ')
  return {
    pipeline,
    data_query: [
      `instrument='${dataId.instrument}'`,
      `exposure.obs_id='${dataId.obsid}'`,
      ...detectors.map(detector => `detector=${detector}`),
    ].join(' AND '),
    ...(version !== '' && { version }),
    ...(config !== '' && { config }),
    ...(after.length > 0 && { prereq_jobs: after.map(({ jobId: id }) => id).join(',') }),
  }
}

/** Bare where that is read as the same value, else in the quotes that it does not hold. */
function spelled(value: OverrideValue): string {
  const text = String(value)
  const spellings = [text, `'${text}'`, `"${text}"`]
  return spellings.find(one => optionsOf(`key=${one}`, () => {}).overrides['key'] === value) ?? text
}

type Complain = (field: keyof z.output<typeof execute>, reason: string) => void

function bodyOf(asked: z.output<typeof execute>, instance: string, complain: Complain): CommandBody<'processData'> {
  const { version = '', config = '', prereq_jobs: after = '', output_dataset_types: outputs = '' } = asked
  const { overrides, configFile } = optionsOf(config, reason => complain('config', reason))
  const exported = outputs.trim()
  return {
    dataId: dataIdOf(asked.data_query, instance, reason => complain('data_query', reason)),
    pipeline: pipelineOf(asked.pipeline, reason => complain('pipeline', reason)),
    overrides: exported === '' || exported === '*' ? overrides : { ...overrides, output_dataset_types: exported },
    ...(configFile !== null && { configFile }),
    version,
    // They were waited for, not asked whether they had succeeded.
    after: jobIdsOf(after, reason => complain('prereq_jobs', reason)).map(one => ({
      jobId: one,
      requires: 'settled' as const,
    })),
  }
}

function pipelineOf(text: string, complain: (reason: string) => void): string {
  const name = text.trim().replace(/\.yaml$/, '')
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name))
    complain(
      `${quoted(text)} is no name of a pipeline; paths, URLs and subsets are not run: give it a file in config/pipelines and send its name`,
    )
  return name
}

// Telescope codes in obsids (obs_lsst); the controller of the observatory is O.
const CODES: Readonly<Record<string, string>> = { LATISS: 'AT', LSSTComCam: 'CC', LSSTCam: 'MC' }

function dataIdOf(
  query: string,
  instance: string,
  complain: (reason: string) => void,
): CommandBody<'processData'>['dataId'] {
  const read = readDataQuery(query)
  if (!read.ok) {
    complain(read.reason)
    return { obsid: 'none' }
  }
  const { instrument, detector } = read.data
  return {
    ...(instrument !== null && { instrument }),
    obsid: obsidOf(read.data, instrument ?? instance, complain),
    ...(detector !== null && { detector }),
  }
}

function obsidOf({ obsid, exposure }: NamedData, instrument: string, complain: (reason: string) => void): string {
  if (exposure === null) return obsid ?? ''
  const code = Object.hasOwn(CODES, instrument) ? CODES[instrument] : undefined
  const spelled = `${code}_O_${exposure.dayObs}_${String(exposure.seqNum).padStart(6, '0')}`
  if (code === undefined || exposureNumbers(spelled) === null)
    complain(`the exposures of ${instrument} cannot be told by their number here; name exposure.obs_id`)
  return spelled
}

interface Options {
  readonly overrides: Record<string, OverrideValue>
  readonly configFile: string | null
}

/** `-c a:b=1 mode='fast' deep.yaml` */
function optionsOf(text: string, complain: (reason: string) => void): Options {
  const overrides: Record<string, OverrideValue> = {}
  const nothing = { overrides, configFile: null }
  if (text.trim().startsWith('{')) {
    complain('a JSON object is for Rapid Analysis, which is another program; it is key=value, divided by spaces')
    return nothing
  }
  const words = text.match(WORD) ?? []
  if (words.join('').length !== text.replaceAll(BETWEEN_WORDS, '$1').length) {
    complain('a quotation mark is not closed')
    return nothing
  }
  let configFile: string | null = null
  for (const [index, word] of words.entries()) {
    const key = /^([A-Za-z][A-Za-z0-9_.:-]*)=/.exec(word)?.[1]
    if (key !== undefined) overrides[key] = valueOf(word.slice(key.length + 1))
    else if (/^(-c|--config)$/.test(word) && index < words.length - 1) continue
    else if (word.startsWith('-'))
      complain(`the option ${quoted(word)} is pipetask's and cannot be passed on; make it an override of the pipeline`)
    else if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(word))
      complain(`${quoted(word)} is neither key=value nor the plain name of a configuration file`)
    else if (configFile !== null)
      complain(`it names two configuration files, ${configFile} and ${word}; one is allowed`)
    else configFile = word
  }
  return { overrides, configFile }
}

const WORD = /(?:[^\s'"]|'[^']*'|"[^"]*")+/g
const BETWEEN_WORDS = /('[^']*'|"[^"]*")|\s+/g

/** Text in quotes is text; what looks like a number or a truth, in JSON's spelling or Python's, is that. */
function valueOf(text: string): OverrideValue {
  const inQuotes = /^'([^']*)'$|^"([^"]*)"$/.exec(text)
  if (inQuotes) return inQuotes[1] ?? inQuotes[2] ?? ''
  if (/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return Number(text)
  return /^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : text
}

function jobIdsOf(text: string, complain: (reason: string) => void): string[] {
  if (text.trim() === '') return []
  const ids = text.split(',').map(id => id.trim())
  const wrong = ids.find(id => !jobId.safeParse(id).success)
  if (wrong !== undefined) complain(`${quoted(wrong)} is no job id; they are divided by single commas`)
  return ids
}

function problems(wrong: readonly (readonly [field: string, reason: string])[]): z.ZodError {
  return new z.ZodError(
    wrong.map(([name, message]) => ({ code: 'custom' as const, path: [name], message, input: undefined })),
  )
}

const QUOTED_MAX = 64

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_MAX))
}
