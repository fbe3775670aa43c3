import { type Command, type ProcessDataCommand, type RetryCommand, sentAs } from '../../machines/domain/commands.ts'
import type { GroupRules } from '../../machines/domain/groupRules.ts'
import { executeBody } from '../contract/execute.ts'
import { requestedWorkBody } from '../contract/work.ts'

/**
 * A journaled command as a client would send it: the inverse of contract/commands.ts and contract/execute.ts, tested
 * against them. Job ids it names are translated, because another instance gives other ones.
 */
export interface WireForm {
  readonly name: string
  readonly body: Readonly<Record<string, unknown>>
}

export function wireForm(command: Command, translate: (jobId: string) => string): WireForm {
  const name = sentAs(command)
  switch (command.type) {
    case 'command.start':
      return { name, body: { configurationOverride: command.configurationOverride } }
    case 'command.processData':
      return command.askedAs === 'execute'
        ? { name, body: executeBody(named(command, translate)) }
        : { name, body: given(processDataBody(named(command, translate))) }
    case 'command.abortJob':
      return { name, body: { [command.askedAs ? 'job_id' : 'jobId']: translate(command.jobId) } }
    case 'command.closeGroup': {
      const { group, pipeline, policy, patienceMs } = command
      return { name, body: given({ group, pipeline, policy, patience: seconds(patienceMs) }) }
    }
    case 'command.retry': {
      const { pipeline, overrides, version } = command
      return { name, body: given({ ...meant(command.of, translate), pipeline, overrides, version }) }
    }
    case 'command.setLogLevel':
      return { name, body: { level: command.level, subsystem: command.subsystem } }
    case 'command.reload':
    case 'command.enable':
    case 'command.disable':
    case 'command.standby':
    case 'command.exitControl':
    case 'command.pause':
    case 'command.resume':
      return { name, body: {} }
  }
}

/** The jobs a command names. */
export function jobsNamedBy(command: Command): readonly string[] {
  switch (command.type) {
    case 'command.processData':
      return command.after.map(({ jobId }) => jobId)
    case 'command.abortJob':
      return [command.jobId]
    case 'command.retry':
      return command.of.by === 'jobId' ? [command.of.jobId] : []
    case 'command.start':
    case 'command.reload':
    case 'command.enable':
    case 'command.disable':
    case 'command.standby':
    case 'command.exitControl':
    case 'command.setLogLevel':
    case 'command.closeGroup':
    case 'command.pause':
    case 'command.resume':
      return []
  }
}

function named(command: ProcessDataCommand, translate: (jobId: string) => string): ProcessDataCommand {
  return { ...command, after: command.after.map(one => ({ ...one, jobId: translate(one.jobId) })) }
}

function processDataBody(command: ProcessDataCommand) {
  const { dataId, after, groupRules: rules } = command
  const isClosing = dataId.obsid === null
  return {
    ...requestedWorkBody(command),
    after: after.length === 0 ? null : after,
    group: rules === null ? (isClosing ? null : dataId.group) : { id: dataId.group, ...rulesBody(rules) },
    members: command.members ?? null,
  }
}

function rulesBody({ expected, deadlineMs, policy, patienceMs, pipeline }: GroupRules) {
  return given({ expected, deadline: seconds(deadlineMs), policy, patience: seconds(patienceMs), pipeline })
}

function meant(of: RetryCommand['of'], translate: (jobId: string) => string): Readonly<Record<string, unknown>> {
  const { by, ...which } = of
  return of.by === 'jobId' && by === 'jobId' ? { jobId: translate(of.jobId) } : which
}

/** Without what is null: on the wire that is left out. */
function given(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000
}
