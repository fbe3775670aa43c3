import { z } from 'zod'
import type {
  Asked,
  CloseGroupCommand,
  Command,
  ProcessDataCommand,
  RetryCommand,
  StartCommand,
} from '../../machines/domain/commands.ts'

/**
 * What a client may send, command by command: plain JSON, every field checked, unknown fields refused by name. Transforms complete what was left out, so that
 * behind this file nothing is optional. What only the inbox can know (ids, what the configuration's files say) is added there.
 */

// obs_ids are letters, digits, _ and - (obs_lsst translators/lsst.py); nothing else may reach a path, an argv or a query.
const obsid = named(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  'an obsid like AT_O_20261122_000017: 1 to 64 letters, digits, _ or -',
)
const instrument = named(/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/, 'an instrument name: 1 to 32 letters, digits, _ or -')
// The Butler's dimension group is a string of at most 64; ScriptQueue's ids hold : . - and #.
const group = named(
  /^[A-Za-z0-9][A-Za-z0-9_:.#+-]{0,63}$/,
  'a group id like 2026-11-22T22:59:05.721#1: 1 to 64 letters, digits or _ : . # + -',
)
const pipeline = named(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'the name of a pipeline: 1 to 64 letters, digits, _ or -')
export const jobId = named(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, 'a job id as OCPS gave it')
const fileName = named(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'a plain file name without a path')

// LSSTCam has 205 detectors; a list of more than a thousand is a mistake, not a camera.
const DETECTORS_MAX = 1_000
const DETECTOR_MAX = 9_999
const detector = z.int().min(0).max(DETECTOR_MAX)

// The longest groups are calibrations of some hundred exposures.
const MEMBERS_MAX = 1_000
// A script waits for a handful of jobs, or for one exposure's detectors.
const PREREQUISITES_MAX = 1_000
const OVERRIDES_MAX = 64
// A day: longer than any night, shorter than setTimeout's 24.8 days.
const SECONDS_MAX = 86_400

const seconds = z.number().positive().max(SECONDS_MAX)
const policy = z.enum(['partial', 'skip', 'fail'])

const overrides = z
  .record(
    z.string().regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/),
    z.union([z.number(), z.string().max(1_000), z.boolean()]),
  )
  .refine(all => Object.keys(all).length <= OVERRIDES_MAX, `at most ${OVERRIDES_MAX} overrides are allowed`)
const version = z.string().regex(/^[A-Za-z0-9_.:/+-]{0,128}$/, 'a version like w_2026_46')

const groupRules = z
  .strictObject({
    id: group,
    expected: z.int().min(1).max(100_000).optional(),
    deadline: seconds.optional(),
    policy: policy.optional(),
    patience: seconds.optional(),
    pipeline: pipeline.optional(),
  })
  .describe('The group of the exposure, with rules for closing it by itself')

export const processData = z
  .strictObject({
    dataId: z
      .strictObject({
        instrument: instrument.optional(),
        obsid: obsid.optional(),
        group: group.optional(),
        detector: z
          .union([
            detector,
            z
              .array(detector)
              .min(1, 'a list of detectors must name at least one; leave detector out for the whole exposure')
              .max(DETECTORS_MAX),
          ])
          .optional()
          .describe('One detector, or a list: one job for each'),
      })
      .describe(
        '`obsid`, perhaps with `detector` (a number, or a list: one job for each); or `group`: close it and combine it, with one `detector` only that detector’s data. `instrument` unless it is the configured one',
      ),
    pipeline: pipeline.describe('The pipeline, one of the applied configuration'),
    group: z
      .union([group, groupRules])
      .optional()
      .describe(
        'The group this exposure belongs to: its id, or `{id, expected, deadline, policy, patience, pipeline}` for one that closes by itself',
      ),
    members: z
      .array(obsid)
      .min(1)
      .max(MEMBERS_MAX)
      .optional()
      .describe('With a group alone: exposures that belong to it, also such as were never processed by themselves'),
    overrides: overrides.optional().describe('Settings that the pipeline allows to be set'),
    configFile: fileName.optional().describe('A file that the pipeline allows to be named'),
    version: version.optional().describe('The software version to run, such as `w_2026_46`'),
    priority: z.int().min(-9).max(9).optional().describe('Higher runs sooner; 0 unless given'),
    after: z
      .array(z.union([jobId, z.strictObject({ jobId, requires: z.enum(['success', 'settled']).optional() })]))
      .max(PREREQUISITES_MAX)
      .optional()
      .describe('Jobs that must have ended before, with success unless `{jobId, requires: settled}`'),
    readiness: z
      .union([z.enum(['runNow', 'skip']), z.strictObject({ waitFor: seconds })])
      .optional()
      .describe('Whether the data must be ingested: `runNow`, `skip` if they are not, or `{waitFor: seconds}`'),
    timeLimit: seconds.optional().describe('Seconds; the pipeline’s own unless given'),
  })
  .superRefine((command, context) => {
    const { obsid: exposure, group: closing } = command.dataId
    const say = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path })
    if (exposure !== undefined && closing !== undefined)
      say(
        'name an obsid or a group, not both; an exposure is put into a group with the field group beside dataId',
        'dataId',
      )
    if (exposure === undefined && closing === undefined) say('name an obsid, or a group to combine', 'dataId')
    if (closing !== undefined && Array.isArray(command.dataId.detector))
      say(
        'a group is combined as a whole or for one detector; send one command for each detector',
        'dataId',
        'detector',
      )
    if (closing === undefined && command.members !== undefined)
      say('members belong to a group; name it in dataId instead of an obsid', 'members')
    if (new Set(command.members).size < (command.members ?? []).length) say('an exposure is named twice', 'members')
    if (closing !== undefined && typeof command.group === 'object' && command.group.id !== closing)
      say(`dataId names another group, ${closing}`, 'group', 'id')
    if (closing !== undefined && typeof command.group === 'string')
      say('dataId names the group to combine already', 'group')
    if (closing !== undefined && (command.after !== undefined || command.readiness !== undefined))
      say(
        'a group waits for its members by itself; leave after and readiness out',
        command.after === undefined ? 'readiness' : 'after',
      )
    const detectors = command.dataId.detector
    if (Array.isArray(detectors) && new Set(detectors).size < detectors.length)
      say('a detector is named twice', 'dataId', 'detector')
  })

export const start = z.strictObject({
  configurationOverride: z
    .string()
    .regex(
      /^(?!_)[A-Za-z0-9][A-Za-z0-9_.-]{0,123}\.yaml$|^$/,
      'the name of an override file like night.yaml that does not begin with _, or nothing',
    )
    .optional(),
})
export const setLogLevel = z.strictObject({
  level: z.int().min(0).max(100).describe('As in Python: 10 debug, 20 info, 30 warning, 40 error'),
  subsystem: z.string().max(100).optional(),
})
export const abortJob = z.strictObject({ jobId })
export const closeGroup = z.strictObject({
  group,
  pipeline: pipeline.optional(),
  policy: policy.optional(),
  patience: seconds.optional(),
})
export const retry = z
  .strictObject({
    jobId: jobId.optional(),
    obsid: obsid.optional(),
    group: group.optional(),
    dayObs: z.int().min(19_000_101).max(99_991_231).optional().describe('A night, as YYYYMMDD'),
    pipeline: pipeline.optional(),
    overrides: overrides.optional(),
    version: version.optional(),
  })
  .refine(
    of => [of.jobId, of.obsid, of.group, of.dayObs].filter(one => one !== undefined).length === 1,
    'name exactly one of jobId, obsid, group and dayObs',
  )
const nothing = z.strictObject({})

export const commandSchemas = {
  start,
  reload: nothing,
  enable: nothing,
  disable: nothing,
  standby: nothing,
  exitControl: nothing,
  setLogLevel,
  processData,
  abortJob,
  closeGroup,
  retry,
  pause: nothing,
  resume: nothing,
} as const

export type CommandName = keyof typeof commandSchemas
export type CommandBody<N extends CommandName> = z.input<(typeof commandSchemas)[N]>

/** Decoded and complete, but for what the inbox stamps when it writes the command down. */
export type Decoded = Unstamped<Command>

export type Checked =
  | { readonly ok: true; readonly command: Decoded }
  | { readonly ok: false; readonly error: z.ZodError }

/** Checks a body, once, and completes it. `instance` is the instrument unless the command names one. */
export function checkCommand(name: CommandName, body: unknown, instance: string): Checked {
  switch (name) {
    case 'processData':
      return checked(processData, body, command => processDataOf(command, instance))
    case 'start':
      return checked(
        start,
        body,
        ({ configurationOverride = '' }) =>
          ({ type: 'command.start', configurationOverride }) satisfies Omit<StartCommand, 'loaded' | keyof Asked>,
      )
    case 'setLogLevel':
      return checked(setLogLevel, body, ({ level, subsystem = '' }) => ({
        type: 'command.setLogLevel',
        level,
        subsystem,
      }))
    case 'abortJob':
      return checked(abortJob, body, ({ jobId: id }) => ({ type: 'command.abortJob', jobId: id }))
    case 'closeGroup':
      return checked(closeGroup, body, closeGroupOf)
    case 'retry':
      return checked(retry, body, retryOf)
    case 'reload':
    case 'enable':
    case 'disable':
    case 'standby':
    case 'exitControl':
    case 'pause':
    case 'resume':
      return checked(nothing, body, () => ({ type: `command.${name}` }))
  }
}

function checked<S extends z.ZodType>(schema: S, body: unknown, complete: (body: z.output<S>) => Decoded): Checked {
  const { success, data, error } = schema.safeParse(body)
  return success ? { ok: true, command: complete(data) } : { ok: false, error }
}

function processDataOf(
  command: z.output<typeof processData>,
  instance: string,
): Omit<ProcessDataCommand, 'jobId' | keyof Asked> {
  const { dataId, group: belongs } = command
  const rules = typeof belongs === 'object' ? belongs : null
  const detectors =
    dataId.detector === undefined ? [] : Array.isArray(dataId.detector) ? dataId.detector : [dataId.detector]
  return {
    type: 'command.processData',
    dataId: {
      instrument: dataId.instrument ?? instance,
      obsid: dataId.obsid ?? null,
      group: dataId.group ?? (typeof belongs === 'string' ? belongs : (rules?.id ?? null)),
    },
    detectors,
    pipeline: command.pipeline,
    overrides: command.overrides ?? {},
    configFile: command.configFile ?? null,
    version: command.version ?? '',
    priority: command.priority ?? 0,
    after: (command.after ?? []).map(one =>
      typeof one === 'string'
        ? { jobId: one, requires: 'success' }
        : { jobId: one.jobId, requires: one.requires ?? 'success' },
    ),
    readiness:
      typeof command.readiness === 'object'
        ? { policy: 'waitFor', waitMs: command.readiness.waitFor * 1000 }
        : { policy: command.readiness ?? 'runNow' },
    timeLimitMs: milliseconds(command.timeLimit),
    groupRules: rules && {
      expected: rules.expected ?? null,
      deadlineMs: milliseconds(rules.deadline),
      policy: rules.policy ?? null,
      patienceMs: milliseconds(rules.patience),
      pipeline: rules.pipeline ?? null,
    },
    ...(command.members && { members: command.members }),
  }
}

function closeGroupOf(command: z.output<typeof closeGroup>): Omit<CloseGroupCommand, 'jobId' | keyof Asked> {
  const { group: id, pipeline: by = null, policy: how = null, patience } = command
  return { type: 'command.closeGroup', group: id, pipeline: by, policy: how, patienceMs: milliseconds(patience) }
}

function retryOf(command: z.output<typeof retry>): Omit<RetryCommand, 'jobId' | keyof Asked> {
  const { pipeline: by = null, overrides: set = null, version: of = null } = command
  return { type: 'command.retry', of: meant(command), pipeline: by, overrides: set, version: of }
}

function meant({ jobId: job, obsid: exposure, group: id, dayObs = 0 }: z.output<typeof retry>): RetryCommand['of'] {
  if (job !== undefined) return { by: 'jobId', jobId: job }
  if (exposure !== undefined) return { by: 'obsid', obsid: exposure }
  return id === undefined ? { by: 'dayObs', dayObs } : { by: 'group', group: id }
}

function milliseconds(value: number | undefined): number | null {
  return value === undefined ? null : value * 1000
}

function named(pattern: RegExp, what: string) {
  return z.string().regex(pattern, `expected ${what}`)
}

type Unstamped<C> = C extends { type: 'command.abortJob' }
  ? Omit<C, 'caller'>
  : C extends unknown
    ? Omit<C, 'caller' | 'jobId' | 'loaded'>
    : never
