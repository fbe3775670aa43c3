import { connect, createInbox, headers as newHeaders, type NatsConnection } from '@nats-io/transport-node'
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { AckBody } from '../../machines/domain/announcements.ts'
import { eventually } from '../bus/eventually.ts'

/*
 * An observer of the wire that shares no code with the product: one plain NATS connection that hears everything under
 * `ocps.` and the answers to what it sends, in the order the server delivers them. One connection of the service
 * publishes acknowledgements and events, so what it said earlier is heard earlier.
 */
export interface Heard {
  readonly subject: string
  readonly body: Fields
  readonly text: string
}

/** JSON as it comes off the wire; tests say themselves what they expect in it. */
export type Fields = Readonly<Record<string, unknown>>

export interface Sending {
  readonly id?: string
  readonly identity?: string
  /** Where the answer is to go instead of to this observer. */
  readonly reply?: string
}

export interface Asked {
  readonly id: string
  /** What was answered so far. */
  readonly acks: readonly AckBody[]
  /** The last answer; one that is not INPROGRESS. */
  readonly final: Promise<AckBody>
  /** The first answer. */
  readonly first: Promise<AckBody>
}

export interface Wire {
  readonly connection: NatsConnection
  readonly instance: string
  /** Everything heard on `ocps.<instance>.>` and in this observer's inbox, oldest first. */
  readonly heard: readonly Heard[]
  /** Sends a command: an object as JSON, or bytes as they are. */
  send(command: string, body?: object | string | Uint8Array, how?: Sending): Asked
  /** Sends and waits for the final acknowledgement. */
  command(command: string, body?: object | string | Uint8Array, how?: Sending): Promise<AckBody>
  query(name: string, body?: object | string): Promise<Fields>
  /** Events of one topic heard live, and of one key if given. */
  events(topic: string, key?: string): readonly Fields[]
  /** Waits for an event that fits. */
  event(topic: string, fits: (body: Fields) => boolean): Promise<Fields>
  result(jobId: string | undefined): Promise<Fields>
  /** Everything said up to now has been heard when it resolves: instead of waiting to see whether nothing comes. */
  quiet(): Promise<void>
  /** What a late joiner finds: the last message of every event subject of the instance, by its topic and key. */
  retained(): Promise<ReadonlyMap<string, Fields>>
  close(): Promise<void>
}

const IN_PROGRESS = 301
let serial = 0

export async function connectWire(natsUrl: string, instance: string): Promise<Wire> {
  const { host, username, password } = new URL(natsUrl)
  const login = username === '' ? {} : password === '' ? { token: username } : { user: username, pass: password }
  const connection = await connect({ servers: host, ...login })
  const heard: Heard[] = []
  const byTopic = new Map<string, Heard[]>()
  const events = `ocps.${instance}.evt.`
  const acks = new Map<string, AckBody[]>()
  const inbox = createInbox()
  const topicOf = (topic: string): Heard[] => {
    const list = byTopic.get(topic) ?? []
    byTopic.set(topic, list)
    return list
  }
  const hear = (subject: string, data: Uint8Array) => {
    const text = new TextDecoder().decode(data)
    const one = { subject, text, body: parsed(text) }
    heard.push(one)
    const topic = subject.startsWith(events) ? (subject.slice(events.length).split('.')[0] ?? '') : null
    if (topic !== null) topicOf(topic).push(one)
    acks.get(subject)?.push(parsed(text) as unknown as AckBody)
  }
  for (const pattern of [`ocps.${instance}.evt.>`, `ocps.${instance}.tel.>`, `${inbox}.>`])
    connection.subscribe(pattern, {
      callback: (error, message) => {
        if (error === null) hear(message.subject, message.data)
      },
    })
  await connection.flush()

  const wire: Wire = {
    connection,
    instance,
    heard,
    send(command, body = {}, { id = `c${++serial}-${process.pid}`, identity, reply } = {}) {
      const headers = newHeaders()
      headers.set('Nats-Msg-Id', id)
      if (identity !== undefined) headers.set('Ocps-Identity', identity)
      const answers: AckBody[] = []
      const to = `${inbox}.${++serial}`
      acks.set(to, answers)
      const bytes = body instanceof Uint8Array || typeof body === 'string' ? body : JSON.stringify(body)
      connection.publish(`ocps.${instance}.cmd.${command}`, bytes, { headers, reply: reply ?? to })
      return {
        id,
        acks: answers,
        get first() {
          return eventually(`${command} is answered`, () => answers.length > 0).then(() => must(answers[0]))
        },
        get final() {
          const last = () => answers.find(({ ack }) => ack !== IN_PROGRESS)
          return eventually(`${command} is answered for good`, () => last() !== undefined).then(() => must(last()))
        },
      }
    },
    command: (command, body, how) => wire.send(command, body, how).final,
    async query(name, body = {}) {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const answer = await connection.request(`ocps.${instance}.qry.${name}`, text, { timeout: 10_000 })
      return parsed(answer.string())
    },
    events: (topic, key) => {
      const subject = `ocps.${instance}.evt.${topic}.${key}`
      const all = topicOf(topic)
      return (key === undefined ? all : all.filter(one => one.subject === subject)).map(({ body }) => body)
    },
    async event(topic, fits) {
      const found = () => wire.events(topic).find(fits)
      await eventually(`an event ${topic} is said`, () => found() !== undefined)
      return must(found())
    },
    result: jobId => wire.event('jobResult', body => body['jobId'] === must(jobId)),
    async quiet() {
      // The answer to a question leaves by the same connection as events and acknowledgements do, after them.
      await wire.query('state')
      await connection.flush()
    },
    async retained() {
      const manager = await jetstreamManager(connection)
      const stream = `OCPS_${instance}_EVT`
      const { num_pending: pending, name } = await manager.consumers.add(stream, {
        deliver_policy: DeliverPolicy.LastPerSubject,
        filter_subject: `ocps.${instance}.evt.>`,
        mem_storage: true,
        inactive_threshold: 30_000_000_000,
      })
      const last = new Map<string, Fields>()
      if (pending === 0) return last
      const consumer = await jetstream(connection).consumers.get(stream, name)
      for await (const message of await consumer.fetch({ max_messages: pending, expires: 5_000 })) {
        last.set(message.subject.slice(`ocps.${instance}.evt.`.length), parsed(message.string()))
        if (last.size === pending) break
      }
      await consumer.delete()
      return last
    },
    close: () => connection.close(),
  }
  return wire
}

export function must<T>(value: T | undefined | null): T {
  if (value === undefined || value === null) throw new Error('the test expected a value here')
  return value
}

function parsed(text: string): Fields {
  try {
    return JSON.parse(text) as Fields
  } catch {
    return {}
  }
}
