import { ACK, type AckBody, type JobResult } from '../../machines/domain/announcements.ts'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import type { Incoming } from '../../src/bus/port.ts'
import { createOcps, type Ocps } from '../../src/client/ocps.ts'
import { subjects } from '../../src/contract/subjects.ts'

/**
 * A client and something that answers like an instance, in memory: the test says what is answered and what is said, in
 * which order. What an instance really does is told by the end-to-end tests.
 */
export interface Fake {
  readonly ocps: Ocps
  /** Every command heard: name, message id, body. */
  readonly heard: { readonly name: string; readonly id: string; readonly body: unknown }[]
  /** Says something on any subject. */
  readonly say: (subject: string, body: unknown) => void
  readonly to: ReturnType<typeof subjects>
  readonly network: ReturnType<typeof createMemoryNetwork>
  /** Resolves once so many commands were heard. */
  commands(count: number): Promise<void>
}

export interface FakeOptions {
  /** The acknowledgements of a command; none: silence. Called with how often this id was heard before. */
  readonly answer: (name: string, before: number) => readonly Partial<AckBody>[]
  readonly query?: (name: string, body: Record<string, unknown>) => unknown
}

export function fakeInstance({
  answer,
  query = () => ({ code: 'UNKNOWN_JOB', error: 'no job is known here' }),
}: FakeOptions): Fake {
  const network = createMemoryNetwork()
  const bus = network.connect('instance')
  const to = subjects('FAKE')
  const heard: Fake['heard'] = []
  const waiting: { count: number; resolve: () => void }[] = []
  const read = ({ body }: Incoming) => JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>
  bus.subscribe(to.commands, message => {
    const name = message.subject.slice(to.command('').length)
    const id = message.headers['nats-msg-id'] ?? ''
    const before = heard.filter(one => one.id === id).length
    heard.push({ name, id, body: read(message) })
    for (const ack of answer(name, before))
      if (message.reply !== null) bus.publish(message.reply, JSON.stringify({ ...DONE, ...ack }))
    for (const { count, resolve } of waiting) if (heard.length >= count) resolve()
  })
  bus.subscribe(to.queries, message => {
    const name = message.subject.slice(to.query('').length)
    if (message.reply !== null) bus.publish(message.reply, JSON.stringify(query(name, read(message))))
  })
  return {
    ocps: createOcps({ bus: network.connect('client'), instance: 'FAKE', identity: 'test@here' }),
    heard,
    to,
    network,
    say: (subject, body) => bus.publish(subject, JSON.stringify(body)),
    commands: count =>
      heard.length >= count ? Promise.resolve() : new Promise(resolve => waiting.push({ count, resolve })),
  }
}

const DONE: AckBody = { ack: ACK.COMPLETE, error: 0, result: 'Done', code: null, jobIds: [], timeout: 0 }

export function aResult(jobId: string, changes: Partial<JobResult> = {}): JobResult {
  return {
    jobId,
    dataId: { instrument: 'FAKE', obsid: 'AT_O_20261122_000017', group: null, detector: null },
    pipeline: 'look',
    version: '',
    commandId: '',
    attempt: 1,
    fellBackFrom: [],
    retryOf: null,
    askedBy: null,
    overrides: {},
    configFile: null,
    directory: null,
    outcome: { kind: 'succeeded', code: 'OK', message: 'look succeeded', exitCode: 0, signal: null, usage: null },
    metrics: [],
    datasets: [],
    verdict: null,
    times: { accepted: 0, queued: 0, started: 0, settled: 0 },
    ...changes,
  }
}
