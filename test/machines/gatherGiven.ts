import { type GroupResult } from '../../machines/domain/announcements.ts'
import type { GroupRules } from '../../machines/domain/groupRules.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { GatherMessage } from '../../machines/domain/messages.ts'
import type { JobOutput } from '../../machines/jobContext.ts'
import { aCaller, aConfiguration, given, type Given } from '../harness.ts'
import { ended, outcome } from './endings.ts'

/** A group as the tests of gather begin with it, and what it said. */

export const caller = aCaller('m1')

export const NO_RULES: GroupRules = { expected: null, deadlineMs: null, policy: null, patienceMs: null, pipeline: null }

export const group = (rules: Partial<GroupRules> | null = null, groups: Partial<Configuration['groups']> = {}) => {
  const configuration = aConfiguration()
  return given('gather', {
    instance: 'LATISS',
    group: 'G#1',
    stem: '20261122-000004',
    rules: rules && { ...NO_RULES, ...rules },
    configuration: { ...configuration, groups: { ...configuration.groups, ...groups } },
  })
}

export const dataIdOf = (obsid: string, detector: number | null = null) => ({
  instrument: 'LATISS',
  obsid,
  group: 'G#1',
  detector,
})

export const member = (
  jobId: string,
  obsid: string,
  detector: number | null = null,
  rules: Partial<GroupRules> | null = null,
) =>
  ({
    type: 'member.accepted',
    jobId,
    dataId: dataIdOf(obsid, detector),
    pipeline: 'quicklook',
    rules: rules && { ...NO_RULES, ...rules },
    configuration: aConfiguration(),
  }) as const

export const good = (jobId: string, rest: Partial<JobOutput> = {}) => ended(jobId, outcome('succeeded'), rest)

export const bad = (jobId: string) => ended(jobId, outcome('failed'))

export const close = (changes: Partial<Extract<GatherMessage, { type: 'group.close' }>> = {}) =>
  ({
    type: 'group.close',
    caller,
    answerTo: null,
    pipeline: null,
    policy: null,
    patienceMs: null,
    options: null,
    configuration: aConfiguration(),
    ...changes,
  }) as const

export const G1 = '20261122-000004-g1'

export const two = group().when(member('a', 'E1'), member('b', 'E2'))

export const stacking = two.when(good('a'), good('b'), close({ pipeline: 'stack' }))

export const gathered = stacking.when(good(G1))

export function resultsOf({ emissions }: Given<'gather'>): GroupResult[] {
  return emissions.flatMap(one => (one.type === 'event' && one.topic === 'groupResult' ? [one.body] : []))
}

export function jobsOf({ emissions }: Given<'gather'>): JobInput[] {
  return emissions.flatMap(one => (one.type === 'open' && one.input.kind === 'job' ? [one.input] : []))
}

export function acks({ emissions }: Given<'gather'>) {
  return emissions.flatMap(one => (one.type === 'ack' ? [one.body] : []))
}

export function finishes({ emissions }: Given<'gather'>) {
  return emissions.flatMap(one =>
    one.type === 'tell' && one.message.type === 'reply.finish' ? [one.message.body] : [],
  )
}
