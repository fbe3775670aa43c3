import type { AnyMachineSnapshot, EventObject } from 'xstate'
import { memberIdentity } from '../../machines/domain/dataId.ts'
import type { Emission, GatherMessage } from '../../machines/domain/messages.ts'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { GatherContext } from '../../machines/groupMembers.ts'
import type { JobInput } from '../../machines/job.ts'
import type { Actor } from '../../src/engine/world.ts'
import type { PromiseName } from './violation.ts'

/**
 * Groups with pencil and paper: who was accepted into which, which job stands for whom. It holds a gather to waiting for its members, to counting
 * identities, and to one gather and one result per closure.
 */
export interface GroupBook {
  stepped(actor: Actor, event: EventObject, before: AnyMachineSnapshot | null, emissions: readonly Emission[]): void
}

interface Group {
  readonly stem: string
  expected: number | null
  /** identity and pipeline → the newest job of it. */
  readonly members: Map<
    string,
    { readonly jobId: string; readonly identity: string; readonly obsid: string | null; readonly first: string }
  >
}

export function createGroupBook(
  outcomeOf: (jobId: string) => OutcomeKind | undefined,
  broken: (promise: PromiseName, evidence: string) => void,
): GroupBook {
  const groups = new Map<string, Group>()
  const results = new Set<string>()

  return {
    stepped({ address, snapshot }, heard, before, emissions) {
      const context = snapshot.context as GatherContext
      if (before === null) groups.set(address, { stem: context.stem, expected: context.expected, members: new Map() })
      const group = groups.get(address)
      if (group === undefined) return
      const event = heard as GatherMessage | { type: 'actor.ended' | `xstate.${string}` }
      if (event.type === 'member.accepted') {
        const identity = memberIdentity(event.dataId)
        const key = `${identity} ${event.pipeline}`
        // A retry stands for the job it retries, whatever its pipeline; it takes that one's place in the order.
        const first = event.retryOf ?? event.jobId
        const entries = [...group.members]
        const isReplaced = ([of, one]: (typeof entries)[number]) =>
          of === key || (one.identity === identity && one.first === first)
        const at = entries.findIndex(isReplaced)
        const mine = [key, { jobId: event.jobId, identity, obsid: event.dataId.obsid, first }] as const
        group.members.clear()
        for (const [place, entry] of entries.entries())
          if (place === at) group.members.set(...mine)
          else if (!isReplaced(entry)) group.members.set(...entry)
        if (at === -1) group.members.set(...mine)
        group.expected = event.rules?.expected ?? group.expected
      }
      checkExpected(address, group, before, snapshot, event.type)
      checkClosure(address, group, before, context, event.type)
      for (const emission of emissions) {
        if (emission.type === 'open' && emission.input.kind === 'job') checkGather(address, group, emission.input)
        if (emission.type !== 'event' || emission.topic !== 'groupResult') continue
        const key = `${address} ${group.stem} ${emission.body.revision}`
        if (results.has(key))
          broken('one gather per closure', `${address} has a second result of revision ${emission.body.revision}`)
        results.add(key)
      }
    },
  }

  function checkExpected(
    address: string,
    group: Group,
    before: AnyMachineSnapshot | null,
    { value, context }: AnyMachineSnapshot,
    type: string,
  ): void {
    if (type !== 'member.accepted' || before?.value !== 'open' || group.expected === null) return
    const exposures = new Set([...group.members.values()].map(({ obsid }) => obsid)).size
    const isClosed = value !== 'open'
    if (isClosed !== exposures >= group.expected)
      broken(
        'members are identities',
        `${address} is ${isClosed ? `closed by ${(context as GatherContext).closedBy}` : 'open'} with ${exposures} different exposures, ${group.expected} expected`,
      )
  }

  function checkClosure(
    address: string,
    group: Group,
    before: AnyMachineSnapshot | null,
    context: GatherContext,
    type: string,
  ): void {
    const earlier = before === null ? 0 : (before.context as GatherContext).revision
    if (context.revision === earlier) return
    if (context.revision !== earlier + 1)
      broken('one gather per closure', `${address} went from revision ${earlier} to ${context.revision}`)
    if (type === 'group.abandon') return
    const open = [...group.members.values()].filter(({ jobId }) => outcomeOf(jobId) === undefined)
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
  }

  function checkGather(address: string, group: Group, { members }: JobInput): void {
    const succeeded = [...group.members.values()].filter(({ jobId }) => outcomeOf(jobId) === 'succeeded')
    const wanted = succeeded.map(({ jobId }) => jobId).join()
    const given = (members ?? []).map(({ jobId }) => jobId).join()
    if (wanted !== given)
      broken(
        'members are identities',
        `the gather of ${address} is given ${given || 'nobody'} instead of ${wanted || 'nobody'}`,
      )
  }
}
