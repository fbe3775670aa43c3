import { workAgain, type Retry, type Submission } from './admission.ts'
import { complete } from './domain/announcements.ts'
import type { AskedAs, Caller, ProcessDataCommand } from './domain/commands.ts'
import type { Configuration } from './domain/configuration.ts'
import type { JobInput } from './domain/inputs.ts'
import { invariant } from './domain/invariant.ts'
import { gatherAddress, jobAddress, replyAddress, tell, watch, type Address, type Emission } from './domain/messages.ts'
import { gatherOptionsOf, worksOf } from './domain/work.ts'
import { jobInput } from './jobInput.ts'

/**
 * What an admitted command leads to: jobs, each a member of its group if it has one, or a word to the group it closes;
 * and its answer, at once or, in synchronous mode and for `execute`, by an actor that waits for the end. Whether it is
 * admitted is admission.ts's business.
 */

/** What it takes of the queue. */
export interface Opener {
  readonly instance: string
  readonly configuration: Configuration | null
}

export interface Admission {
  readonly emissions: readonly Emission[]
  /** How many were opened. */
  readonly jobs: number
}

export function isSync({ configuration }: Pick<Opener, 'configuration'>): boolean {
  return configuration?.mode === 'sync'
}

export function admission(opener: Opener, { command }: Submission): Admission {
  const { instance, configuration } = opener
  invariant(configuration, 'admitted a command before a configuration was applied')
  if (command.type === 'command.closeGroup' || command.dataId.obsid === null)
    return { emissions: closing(instance, configuration, command), jobs: 0 }

  const pipeline = configuration.pipelines[command.pipeline]
  invariant(pipeline, `admitted a command for an unknown pipeline ${command.pipeline}`)
  const { caller, jobId: stem, after, askedAs } = command
  const jobs = worksOf(command, pipeline).map(work =>
    jobInput(configuration, work, {
      instance,
      jobId: work.dataId.detector === null ? stem : `${stem}-${work.dataId.detector}`,
      commandId: caller.id,
      after,
      ...(askedAs && { askedAs }),
      askedBy: caller.identity,
    }),
  )
  return { emissions: opening(instance, configuration, command, jobs), jobs: jobs.length }
}

/** The jobs of the shelf again, linked to the first of their kind. */
export function retryAdmission({ instance, configuration }: Opener, { command, items }: Retry): Admission {
  invariant(configuration, 'admitted a retry before a configuration was applied')
  const { caller, jobId: stem } = command
  const jobs = items.map((item, index) =>
    jobInput(configuration, workAgain(configuration, command, item), {
      instance,
      jobId: `${stem}-r${index + 1}`,
      commandId: caller.id,
      retryOf: item.retryOf ?? item.jobId,
      askedBy: caller.identity,
    }),
  )
  const taken = tell('shelf', { type: 'shelf.taken', jobIds: items.map(({ jobId }) => jobId) })
  return { emissions: [taken, ...opening(instance, configuration, command, jobs)], jobs: jobs.length }
}

type OpeningCommand = Pick<ProcessDataCommand, 'caller' | 'jobId' | 'askedAs'> &
  Partial<Pick<ProcessDataCommand, 'groupRules'>>

/**
 * The jobs of one command opened, each a member of its group if it has one; and the command answered, now or at the
 * end.
 */
function opening(
  instance: string,
  configuration: Configuration,
  { caller, jobId: stem, groupRules: rules = null, askedAs }: OpeningCommand,
  jobs: readonly JobInput[],
): Emission[] {
  const jobIds = jobs.map(({ jobId }) => jobId)
  const answerTo = isSync({ configuration }) || askedAs ? replyAddress(caller) : null
  const emissions: Emission[] = answerTo
    ? reply(configuration, caller, answerTo, jobIds, askedAs)
    : [complete(caller, jobIds)]
  for (const [group, first] of firstOfGroups(jobs, stem))
    emissions.push(
      {
        type: 'open',
        address: gatherAddress(group),
        input: { kind: 'gather', instance, group, stem: first, rules, configuration },
      },
      watch(gatherAddress(group)),
    )
  for (const job of jobs) {
    const { jobId, dataId, pipeline, retryOf } = job
    emissions.push({ type: 'open', address: jobAddress(jobId), input: job }, watch(jobAddress(jobId)))
    if (dataId.group !== null) {
      const member = {
        jobId,
        dataId,
        pipeline: pipeline.name,
        rules,
        configuration,
        ...(retryOf !== null && { retryOf }),
      }
      emissions.push(tell(gatherAddress(dataId.group), { type: 'member.accepted', ...member }))
    }
  }
  if (answerTo)
    for (const jobId of jobIds) emissions.push(tell(answerTo, { type: 'reply.await', address: jobAddress(jobId) }))
  return emissions
}

/**
 * Group → the stem of its gather jobs' ids: the command's, or where one retry opens several groups, the first job's of
 * each.
 */
function firstOfGroups(jobs: readonly JobInput[], stem: string): Map<string, string> {
  const first = new Map<string, string>()
  for (const { dataId, jobId } of jobs)
    if (dataId.group !== null && !first.has(dataId.group)) first.set(dataId.group, jobId)
  for (const group of first.size === 1 ? first.keys() : []) first.set(group, stem)
  return first
}

function reply(
  { ackTimeoutMs }: Configuration,
  caller: Caller,
  address: Address,
  jobIds: readonly string[],
  askedAs?: AskedAs,
): Emission[] {
  const input = { kind: 'reply', caller, jobIds, ackTimeoutMs, ...(askedAs && { askedAs }) } as const
  return [{ type: 'open', address, input }, watch(address)]
}

function closing(instance: string, configuration: Configuration, command: Submission['command']): Emission[] {
  const answerTo = isSync({ configuration }) ? replyAddress(command.caller) : null
  const byData = command.type === 'command.processData'
  const group = byData ? (command.dataId.group ?? '') : command.group
  const address = gatherAddress(group)
  const rules = byData ? command.groupRules : command
  const named = (byData && command.members) || []
  const detector = byData ? (command.detectors[0] ?? null) : null
  return [
    // Exposures that were never processed by themselves may be of a group nobody knows yet.
    ...(byData && named.length > 0
      ? [
          {
            type: 'open' as const,
            address,
            input: { kind: 'gather' as const, instance, group, stem: command.jobId, rules: null, configuration },
          },
          watch(address),
        ]
      : []),
    // The group says at last how it ended; awaited only for the case that its machine breaks and it cannot.
    ...(answerTo
      ? [...reply(configuration, command.caller, answerTo, []), tell(answerTo, { type: 'reply.await', address })]
      : []),
    tell(address, {
      type: 'group.close',
      caller: command.caller,
      answerTo,
      pipeline: command.pipeline,
      policy: rules?.policy ?? null,
      patienceMs: rules?.patienceMs ?? null,
      options: byData ? gatherOptionsOf(command) : null,
      configuration,
      ...(byData && command.groupRules?.expected && { expected: command.groupRules.expected }),
      ...(byData && named.length > 0 && { members: named.map(obsid => ({ ...command.dataId, obsid, detector })) }),
      ...(detector !== null && { detector }),
    }),
  ]
}
