import type { ProcessDataCommand } from '../../machines/domain/commands.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { Emission, Known } from '../../machines/domain/messages.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import { inOrder } from '../../machines/domain/waitingList.ts'
import { aCaller, aConfiguration, aProcessData, given, type Given } from '../harness.ts'

/** A queue as its tests begin with it, and what it said. */

export const caller = aCaller('m1')

export const configured = (changes: Partial<Configuration> = {}) =>
  given('queue', { instance: 'LATISS' }).when({ type: 'queue.configure', configuration: aConfiguration(changes) })

export const flowing = (changes: Partial<Configuration> = {}) => configured(changes).when({ type: 'queue.open' })

export const processData = aProcessData({ caller })

export const submit = (changes: Partial<ProcessDataCommand> = {}, known: Known = {}) =>
  ({ type: 'queue.submit', command: { ...processData, ...changes }, known }) as const

/** A job as its machine and the queue see it: counted, then ready. */
export const ready = (jobId: string, { priority = 0, slots = 1 } = {}) =>
  [
    { type: 'job.opened', jobId },
    { type: 'job.ready', jobId, priority, slots },
  ] as const

export const shelfItem = {
  jobId: 'old',
  retryOf: null,
  at: 0,
  dataId: { instrument: 'LATISS', obsid: 'E1', group: null, detector: null },
  pipeline: 'quicklook',
  overrides: { gone: 1 },
  configFile: 'gone.yaml',
  version: 'w_1',
  priority: 3,
  timeLimitMs: 1e9,
  outcome: 'failed',
} as const

export function asked(dataId: object = {}, pipeline = 'quicklook') {
  return { dataId: { obsid: 'AT_O_20261122_000017', ...dataId }, pipeline }
}

export function granted({ emissions }: Given<'queue'>): string[] {
  return emissions.flatMap(one =>
    one.type === 'tell' && one.message.type === 'slot.granted' ? [one.to.slice('job.'.length)] : [],
  )
}

export function waiting({ context }: Given<'queue'>): string[] {
  return inOrder(context.waiting, 'fifo').map(({ jobId }) => jobId)
}

export function opened({ emissions }: Given<'queue'>): JobInput[] {
  const inputs = emissions.flatMap((one: Emission) => (one.type === 'open' ? [one.input] : []))
  return inputs.filter(input => input.kind === 'job')
}

export function acks({ emissions }: Given<'queue'>) {
  return emissions.flatMap(one => (one.type === 'ack' ? [one.body] : []))
}
