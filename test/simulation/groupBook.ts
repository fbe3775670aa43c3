import type { AnyMachineSnapshot, EventObject } from 'xstate'
import type { GroupResult } from '../../machines/domain/announcements.ts'
import type { GatherPolicy, GroupRules } from '../../machines/domain/groupRules.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import { memberIdentity, type DataId } from '../../machines/domain/dataId.ts'
import type { Emission, GatherMessage } from '../../machines/domain/messages.ts'
import type { GatherContext } from '../../machines/groupMembers.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import type { Actor } from '../../src/engine/world.ts'
import { capacityIn, chainOf, type Asked } from './asked.ts'
import { exposuresOf, isLateEnd, isLateNow, isShortOf, withNewest } from './groupPromises.ts'
import type { JobBook } from './jobBook.ts'
import type { PromiseName } from './violation.ts'
import type { Watch } from './watch.ts'

/**
 * Groups with pencil and paper: under which rules, who was accepted into which, which job stands for whom, and what a
 * closure has to come to. The rules are those of the commands and the configuration, members' ends and contents those
 * of the jobs' processes.
 */
export interface GroupBook {
  stepped(actor: Actor, event: EventObject, before: AnyMachineSnapshot | null, emissions: readonly Emission[]): void
}

export interface Member {
  readonly jobId: string
  readonly identity: string
  readonly dataId: DataId
  readonly pipeline: string
  /** The first job of its kind, which is itself if it is no retry. */
  readonly first: string
}

export interface Group {
  readonly address: string
  readonly stem: string
  readonly opened: number
  readonly deadlineMs: number | null
  expected: number | null
  policy: GatherPolicy
  patienceMs: number
  pipeline: string | null
  configuration: Configuration
  /** One for each identity and pipeline, in the order they were accepted. */
  members: readonly Member[]
  /** Whom the closure at hand does not have. */
  readonly late: Set<string>
  /** Who had not settled when it began. */
  readonly open: Set<string>
  /** How long it has to wait for its members, and since when. */
  closing: { readonly since: number; readonly ms: number } | null
  restingSince: number
  /** What the closure at hand has to come to. */
  outcome: GroupResult['outcome']
  gathers: string | null
  wasAborted: boolean
}

interface Ended {
  readonly type: 'actor.ended'
  readonly address: string
}

interface Options {
  readonly asked: Asked
  readonly jobs: JobBook
  readonly watch: Watch
  readonly configuration: () => Configuration | null
  readonly broken: (promise: PromiseName, evidence: string) => void
}

const CLOSED: ReadonlySet<string> = new Set(['gathered', 'abandoned'])

export function createGroupBook({ asked, jobs, watch, configuration, broken }: Options): GroupBook {
  const groups = new Map<string, Group>()
  const results = new Set<string>()
  /** Of a member whose machine was broken nothing more is heard. */
  const endOf = (jobId: string) => jobs.outcomeOf(jobId) ?? (jobs.isSabotaged(jobId) ? 'failed' : undefined)

  return {
    stepped({ address, snapshot }, heard, before, emissions) {
      const context = snapshot.context as GatherContext
      const inForce = configuration()
      if (inForce === null) return
      if (before === null) groups.set(address, opened(address, context.stem, inForce))
      const group = groups.get(address)
      if (group === undefined || before === null) return
      const event = heard as GatherMessage | Ended | { type: `xstate.${string}` }
      if (event.type === 'member.accepted') accept(group, event, before, inForce)
      if (event.type === 'group.close' && !isRefused(emissions)) close(group, event, inForce)
      if (event.type === 'actor.ended') settle(group, event)
      checkExpected(group, before, snapshot, event.type)
      const closed = (before.context as GatherContext).revision
      // In one step a closure may end and, for late members, the next one begin and end.
      for (const body of resultsIn(emissions)) if (body.revision === closed) checkResult(group, body)
      checkClosure(group, before, context, event.type)
      checkTimes(group, before, snapshot, event.type)
      for (const emission of emissions) {
        if (emission.type === 'open' && emission.input.kind === 'job') checkGather(group, emission.input)
      }
      for (const body of resultsIn(emissions)) if (body.revision !== closed) checkResult(group, body)
      checkRest(group, before, snapshot, event.type)
    },
  }

  function opened(address: string, stem: string, inForce: Configuration): Group {
    const rules = rulesOf(stem)
    const { groups: usual } = inForce
    return {
      address,
      stem,
      opened: watch.now(),
      deadlineMs: rules?.deadlineMs ?? null,
      expected: rules?.expected ?? null,
      policy: rules?.policy ?? usual.policy,
      patienceMs: rules?.patienceMs ?? usual.patienceMs,
      pipeline: rules?.pipeline ?? usual.pipeline,
      configuration: inForce,
      members: [],
      late: new Set(),
      open: new Set(),
      closing: null,
      restingSince: 0,
      outcome: 'aborted',
      gathers: null,
      wasAborted: false,
    }
  }

  function rulesOf(jobId: string): GroupRules | null {
    const command = asked.commandOf(jobId)
    return command?.type === 'command.processData' ? command.groupRules : null
  }

  function accept(
    group: Group,
    { jobId, dataId, pipeline }: Extract<GatherMessage, { type: 'member.accepted' }>,
    before: AnyMachineSnapshot,
    inForce: Configuration,
  ): void {
    const identity = memberIdentity(dataId)
    const first = jobs.planOf(jobId)?.retryOf ?? jobId
    group.members = withNewest(group.members, { jobId, identity, dataId, pipeline, first })
    if (isLateNow(String(before.value))) group.late.add(jobId)
    const rules = rulesOf(jobId)
    group.configuration = inForce
    group.pipeline = rules?.pipeline ?? stillThere(group.pipeline, inForce)
    group.expected = rules?.expected ?? group.expected
    group.policy = rules?.policy ?? group.policy
    group.patienceMs = rules?.patienceMs ?? group.patienceMs
  }

  function settle(group: Group, { address }: Ended): void {
    const jobId = address.slice('job.'.length)
    const isMember = group.members.some(one => one.jobId === jobId)
    if (group.open.delete(jobId) && isMember && isLateEnd(endOf(jobId))) group.late.add(jobId)
  }

  function close(
    group: Group,
    { caller }: Extract<GatherMessage, { type: 'group.close' }>,
    inForce: Configuration,
  ): void {
    const command = asked.command(caller.id)
    const isClose = command?.type === 'command.closeGroup'
    if (!isClose && command?.type !== 'command.processData')
      return broken('as asked', `${group.address} is closed although ${caller.id} did not ask for it`)
    const rules = isClose ? { ...command, expected: null } : command.groupRules
    const { policy = null, patienceMs = null, expected = null } = rules ?? {}
    group.configuration = inForce
    group.pipeline = command.pipeline ?? stillThere(group.pipeline, inForce)
    group.policy = policy ?? group.policy
    group.expected = expected ?? group.expected
    group.patienceMs = patienceMs ?? group.patienceMs
  }

  function checkExpected(
    group: Group,
    before: AnyMachineSnapshot,
    { value, context }: AnyMachineSnapshot,
    type: string,
  ): void {
    if (type !== 'member.accepted' || before.value !== 'open' || group.expected === null) return
    const exposures = exposuresOf(group).size
    const isClosed = value !== 'open'
    if (isClosed !== exposures >= group.expected)
      broken(
        'members are identities',
        `${group.address} is ${isClosed ? `closed by ${(context as GatherContext).closedBy}` : 'open'} with ${exposures} different exposures, ${group.expected} expected`,
      )
  }

  function checkClosure(group: Group, before: AnyMachineSnapshot, context: GatherContext, type: string): void {
    const { address, policy } = group
    const earlier = (before.context as GatherContext).revision
    if (context.revision === earlier) return
    if (context.revision !== earlier + 1)
      broken('one gather per closure', `${address} went from revision ${earlier} to ${context.revision}`)
    const open = group.members.filter(({ jobId }) => endOf(jobId) === undefined)
    group.late.clear()
    group.open.clear()
    for (const { jobId } of open) group.open.add(jobId)
    group.gathers = null
    group.outcome = 'aborted'
    if (type === 'group.abandon') return
    if (!type.startsWith('xstate.after.patience') && open.length > 0)
      broken(
        'gather after members',
        `${address} concluded on ${type} while ${open.map(({ jobId }) => jobId).join(', ')} had not settled`,
      )
    const missing = [...new Set(open.map(({ identity }) => identity))]
    if (missing.join() !== context.missing.join())
      broken(
        'gather after members',
        `${address} names ${context.missing.join()} as missing, which should be ${missing.join()}`,
      )
    const isRefusedByPolicy = succeededOf(group).length === 0 || (policy !== 'partial' && isShortOf(group, endOf))
    if (isRefusedByPolicy) group.outcome = policy === 'skip' ? 'skipped' : 'failed'
    else {
      group.outcome = isShortOf(group, endOf) ? 'partial' : 'complete'
      group.gathers = group.pipeline
    }
  }

  function checkGather(group: Group, { jobId, members, pipeline }: JobInput): void {
    const { address, gathers, configuration: its } = group
    const succeeded = succeededOf(group)
    const wanted = succeeded.map(({ jobId: one }) => one).join()
    const given = (members ?? []).map(({ jobId: one }) => one).join()
    if (wanted !== given)
      broken(
        'members are identities',
        `the gather of ${address} is given ${given || 'nobody'} instead of ${wanted || 'nobody'}`,
      )
    if (gathers !== pipeline.name)
      broken('groups by their rules', `${address} gathers with ${pipeline.name} instead of ${gathers ?? 'not at all'}`)
    for (const { jobId: one, metrics, datasets } of members ?? []) {
      if (one === null) continue
      const reported = jobs.reported(one)
      if (JSON.stringify([metrics, datasets]) !== JSON.stringify([reported.metrics, reported.datasets]))
        broken('contents are true', `the gather of ${address} is given something else than what ${one} reported`)
    }
    const chain = chainOf(its, gathers ?? pipeline.name)
    const closing = asked.commandOf(jobId)
    jobs.expect({
      jobId,
      commandId: '',
      retryOf: null,
      dataId: { instrument: its.instrument, obsid: null, group: members?.[0]?.dataId.group ?? null, detector: null },
      chain,
      timeLimitMs: chain[0]?.timeLimitMs ?? 0,
      priority: 0,
      version: '',
      overrides: {},
      configFile: closing === undefined ? 'nobody asked for it' : null,
      after: [],
      readiness: { policy: 'runNow' },
      ...capacityIn(its),
      isGather: true,
    })
  }

  function checkResult(group: Group, { revision, outcome, gather, members }: GroupResult): void {
    const { address, stem, gathers } = group
    const key = `${address} ${stem} ${revision}`
    if (results.has(key)) broken('one gather per closure', `${address} has a second result of revision ${revision}`)
    results.add(key)
    const ended = gathers === null ? 'succeeded' : endOf(`${stem}-g${revision}`)
    const wanted = ended === 'succeeded' ? group.outcome : ended === 'aborted' ? 'aborted' : 'failed'
    if (wanted !== outcome && outcome !== 'aborted')
      broken('groups by their rules', `${address} ends as ${outcome}, which should be ${wanted}`)
    if ((gather !== null) !== (gathers !== null) && outcome !== 'aborted')
      broken('groups by their rules', `${address} says ${gather ? 'that it was' : 'nothing of being'} combined`)
    if (members.length !== group.members.length)
      broken('members are identities', `${address} names ${members.length} members of ${group.members.length}`)
    group.wasAborted = outcome === 'aborted'
  }

  /** Its deadline, its patience, and how long it is remembered. */
  function checkTimes(group: Group, before: AnyMachineSnapshot, after: AnyMachineSnapshot, type: string): void {
    const { address, closing } = group
    const timer = type.startsWith('xstate.after.') ? type.split('.')[2] : ''
    const { revision } = before.context as GatherContext
    const isFirst = before.value === 'open' && revision === 0
    if (timer === 'deadline') watch.took(`${address} closes`, group.opened, group.deadlineMs ?? 0, broken)
    else if (isFirst && group.deadlineMs !== null)
      watch.tookAtMost(`${address} is open`, group.opened, group.deadlineMs, broken)
    if (before.value === 'closing' && closing !== null) {
      if (timer === 'patience') watch.took(`${address} gives up waiting`, closing.since, closing.ms, broken)
      else watch.tookAtMost(`${address} waits for its members`, closing.since, closing.ms, broken)
    }
    if (timer === 'linger')
      watch.took(`${address} is forgotten`, group.restingSince, group.configuration.groups.lingerMs, broken)
    if (before.value !== 'closing' || after.value !== 'closing') {
      const isClosing = after.value === 'closing'
      group.closing = isClosing ? { since: watch.now(), ms: group.patienceMs } : null
    }
    const isAnother = (after.context as GatherContext).revision !== revision
    if (CLOSED.has(String(after.value)) && (isAnother || !CLOSED.has(String(before.value))))
      group.restingSince = watch.now()
  }

  /** Who came late is combined, or left out, as the configuration has it. */
  function checkRest(group: Group, before: AnyMachineSnapshot, { value }: AnyMachineSnapshot, type: string): void {
    const { address, configuration: its, late, wasAborted } = group
    const wasClosed = CLOSED.has(String(before.value)) || before.value === 'gathering'
    const isReopened = wasClosed && value === 'closing'
    if (isReopened && type !== 'group.close' && its.groups.late === 'ignore')
      broken('groups by their rules', `${address} closes again for late members, which are to be ignored`)
    if (CLOSED.has(String(value)) && late.size > 0 && its.groups.late === 'regather' && !wasAborted)
      broken('groups by their rules', `${address} is ${String(value)} without ${[...late].join(', ')}, which came late`)
  }

  function succeededOf({ members }: Group): Member[] {
    return members.filter(({ jobId }) => endOf(jobId) === 'succeeded')
  }
}

function resultsIn(emissions: readonly Emission[]): GroupResult[] {
  return emissions.flatMap(emission =>
    emission.type === 'event' && emission.topic === 'groupResult' ? [emission.body] : [],
  )
}

function stillThere(pipeline: string | null, { pipelines, groups }: Configuration): string | null {
  return pipeline === null || pipeline in pipelines ? pipeline : groups.pipeline
}

function isRefused(emissions: readonly Emission[]): boolean {
  return emissions.some(
    emission =>
      (emission.type === 'ack' && emission.body.code === 'GROUP_CLOSED') ||
      (emission.type === 'tell' &&
        emission.message.type === 'reply.finish' &&
        emission.message.body.code === 'GROUP_CLOSED'),
  )
}
