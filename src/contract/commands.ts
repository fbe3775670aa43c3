import { z } from 'zod'
import type {
  Asked,
  CloseGroupCommand,
  Command,
  ProcessDataCommand,
  RetryCommand,
  StartCommand,
} from '../../machines/domain/commands.ts'
import {
  group,
  jobId,
  MEMBERS_MAX,
  milliseconds,
  obsid,
  overrides,
  pipeline,
  policy,
  PREREQUISITES_MAX,
  seconds,
  version,
} from './fields.ts'
import { requestedWork, requestedWorkOf } from './work.ts'

/**
 * What a client may send, command by command: plain JSON, every field checked, unknown fields refused by name.
 * Transforms complete what was left out, so that behind this file nothing is optional. What only the inbox can know
 * (ids, what the configuration's files say) is added there.
 */

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
    ...requestedWork,
    after: z
      .array(z.union([jobId, z.strictObject({ jobId, requires: z.enum(['success', 'settled']).optional() })]))
      .max(PREREQUISITES_MAX)
      .optional()
      .describe('Jobs that must have ended before, with success unless `{jobId, requires: settled}`'),
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
  const { group: belongs } = command
  const rules = typeof belongs === 'object' ? belongs : null
  // Its fields keep their places: a command that is sent again is known by its text, also to a journal of old.
  const { readiness, timeLimitMs, ...work } = requestedWorkOf(command, {
    instance,
    group: typeof belongs === 'string' ? belongs : (rules?.id ?? null),
  })
  return {
    type: 'command.processData',
    ...work,
    after: (command.after ?? []).map(one =>
      typeof one === 'string'
        ? { jobId: one, requires: 'success' }
        : { jobId: one.jobId, requires: one.requires ?? 'success' },
    ),
    readiness,
    timeLimitMs,
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

type Unstamped<C> = C extends { type: 'command.abortJob' }
  ? Omit<C, 'caller'>
  : C extends unknown
    ? Omit<C, 'caller' | 'jobId' | 'loaded'>
    : never
