import { createMemoryNetwork } from '../../src/bus/memory.ts'
import { catalogue, type Described } from '../../src/contract/catalogue.ts'
import { asyncApi, type AsyncApi } from '../../src/contract/asyncapi.ts'
import { sentences } from '../../src/contract/decode.ts'
import { createFeed } from '../../src/sinks/nats/feed.ts'
import type { Numbered } from '../../src/engine/engine.ts'

/*
 * What announcements are on the wire, through the real feed over a bus in memory, and whether the documents describe
 * them.
 */
export interface OnWire {
  readonly subject: string
  readonly body: unknown
}

export interface Listening {
  say(said: Numbered): void
  /** Everything heard so far, in order. */
  heard(): Promise<readonly OnWire[]>
}

export async function listening(): Promise<Listening> {
  const network = createMemoryNetwork()
  const bus = network.connect('feed')
  const retained = await bus.retained({ name: 'EVT', subjects: ['ocps.LATISS.evt.>'], maxAgeMs: 86_400_000 })
  const heard: OnWire[] = []
  network.connect('listener').subscribe('>', ({ subject, body }) => {
    if (/^(ocps|_INBOX)\./.test(subject)) heard.push({ subject, body: JSON.parse(new TextDecoder().decode(body)) })
  })
  const feed = createFeed({ bus, telemetry: bus, retained, instance: 'LATISS' })
  return {
    say: feed.say,
    async heard() {
      // An acknowledgement may wait for an event to be stored, so twice.
      for (const _ of [1, 2]) {
        await retained.flushed()
        await network.settle()
      }
      return heard
    },
  }
}

export const document: AsyncApi = asyncApi('0.0.0')

/** The channels a subject belongs to; exactly one, if the document is right. */
export function channelsOf(subject: string): string[] {
  return Object.entries(document.channels).flatMap(([name, { address }]) =>
    address !== null && new RegExp(`^${address.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^.]+')}$`).test(subject)
      ? [name]
      : [],
  )
}

export function schema(name: string): Described['schema'] {
  const found = catalogue.find(one => one.name === name)
  if (!found) throw new Error(`the catalogue has no ${name}`)
  return found.schema
}

/** What is wrong with a message, in words; nothing, if it is as it is described. */
export function problemOf({ subject, body }: OnWire): string[] {
  const names = subject.startsWith('_INBOX.') ? ['ack'] : channelsOf(subject)
  const [name] = names
  if (name === undefined || names.length > 1) return [`${subject} belongs to ${names.length} channels: ${names.join()}`]
  return misfit(name, body)
}

export function misfit(name: string, body: unknown): string[] {
  const { success, error } = schema(name).safeParse(body)
  return success ? [] : [`${name}: ${sentences(error)}`]
}
