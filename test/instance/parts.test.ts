import { expect, test } from 'vitest'
import { z } from 'zod'
import { ACK, type AckBody } from '../../machines/domain/announcements.ts'
import type { Numbered } from '../../machines/ports.ts'
import { decodeCommand } from '../../src/contract/decode.ts'
import { decodeQuery } from '../../src/contract/decodeQuery.ts'
import type { Desk } from '../../src/engine/desk.ts'
import { chooseParts, PARTS, type Parts } from '../../src/instance/compose.ts'
import { startService } from '../../src/instance/start.ts'
import type { DoorPart, SinkPart } from '../../src/parts.ts'
import { eventually } from '../bus/eventually.ts'
import { cleanUpAfterEach } from '../cleanUp.ts'
import { makePlace, optionsFor } from '../conformance/instance.ts'

/* A part is a folder and a line: a door and a sink that are defined here plug into a real instance as its own do. */

const cleanUp = cleanUpAfterEach()
const bytes = (body: object) => new TextEncoder().encode(JSON.stringify(body))

/** A door that is no wire at all: its test walks in. */
class WalkIn {
  desk: Desk | null = null
  readonly part: DoorPart = {
    name: 'walkIn',
    settings: z.strictObject({}).default({}),
    open: ({ desk }) => {
      this.desk = desk
      return { close: () => Promise.resolve() }
    },
  }

  command(name: string, body: object, roles?: readonly ['viewer']): Promise<AckBody> {
    const caller = {
      identity: 'guest',
      id: `walk-${name}-${process.hrtime.bigint()}`,
      reply: null,
      ...(roles && { roles }),
    }
    return new Promise(resolve =>
      this.desk?.command(name, decodeCommand(name, bytes(body), 'LATISS'), caller, ack => {
        if (ack.ack !== ACK.INPROGRESS) resolve(ack)
      }),
    )
  }

  async ask(name: string, body: object = {}): Promise<{ readonly state?: string }> {
    return (await this.desk?.ask(name, decodeQuery(name, bytes(body)), { identity: 'guest' })) ?? {}
  }
}

/** A sink with a book that outlives the instance. */
class Book {
  readonly pages: Numbered[] = []
  readonly part: SinkPart = {
    name: 'book',
    settings: z.strictObject({ title: z.string() }),
    open: () => ({
      say: said => void this.pages.push(said),
      flushed: () => Promise.resolve(),
      cursor: () => this.ids().at(-1) ?? '0.0',
    }),
  }

  ids(): string[] {
    return this.pages.flatMap(({ id }) => (id === '' ? [] : [id]))
  }

  results(): string[] {
    return this.pages.flatMap(({ announcement }) =>
      announcement.type === 'event' && announcement.topic === 'jobResult' ? [announcement.body.jobId] : [],
    )
  }
}

const withParts = (walkIn: WalkIn, book: Book): Parts => ({
  ...PARTS,
  doors: [...PARTS.doors, walkIn.part],
  sinks: [...PARTS.sinks, book.part],
})

test('a door and a sink of a stranger work in an instance, and the sink hears later what was said while it was not there', async () => {
  const place = makePlace()
  cleanUp(() => place.remove())
  const [walkIn, book] = [new WalkIn(), new Book()]
  const parts = withParts(walkIn, book)
  const process = { dataId: { obsid: 'AT_O_20261122_000001' }, pipeline: 'true' }
  /** A life in which one job is processed; in it the sink is there, or is not. */
  const life = async (isThere: boolean): Promise<string> => {
    const partSettings = isThere ? { sinks: { book: { title: 'the night' } } } : {}
    const service = await startService(optionsFor(place, { parts, partSettings }))
    cleanUp(() => service.stop())
    const { ack, jobIds } = await walkIn.command('processData', process)
    expect(ack).toBe(ACK.COMPLETE)
    const [jobId = ''] = jobIds
    await eventually('it has ended', async () => (await walkIn.ask('job', { jobId })).state === 'settled')
    if (isThere) await eventually('the book has it', () => book.results().includes(jobId))
    expect(await walkIn.ask('job', { jobId: 'none' })).toMatchObject({ code: 'UNKNOWN_JOB' })
    await service.stop()
    return jobId
  }
  const first = await life(true)
  expect(book.results()).toEqual([first])
  const second = await life(false)
  expect(book.results()).toEqual([first])
  const third = await life(true)
  expect(book.results()).toEqual([first, second, third])
  expect(book.ids()).toEqual([...new Set(book.ids())])
})

test('who comes in by a door that knows roles may do what they allow, and no more', async () => {
  const place = makePlace()
  cleanUp(() => place.remove())
  const walkIn = new WalkIn()
  const service = await startService(optionsFor(place, { simulate: true, parts: withParts(walkIn, new Book()) }))
  cleanUp(() => service.stop())
  expect(await walkIn.command('disable', {}, ['viewer'])).toMatchObject({ ack: ACK.NOPERM, code: 'NOT_PERMITTED' })
  expect(await walkIn.ask('state')).toMatchObject({ summaryState: 'ENABLED' })
  expect(await walkIn.command('disable', {})).toMatchObject({ ack: ACK.COMPLETE })
})

test('settings that are wrong, or of a part there is none of, are refused with a sentence; false switches a part off', () => {
  const parts = withParts(new WalkIn(), new Book())
  const names = (given: Parameters<typeof chooseParts>[1]) =>
    chooseParts(parts, given).sinks.map(({ part }) => part.name)
  expect(names({})).toEqual(['nats'])
  expect(names({ sinks: { book: { title: 'x' } } })).toEqual(['nats', 'book'])
  expect(names({ sinks: { nats: false } })).toEqual([])
  expect(() => names({ sinks: { book: { titel: 'x' } } })).toThrow('the settings of the sink book are wrong: title: ')
  expect(() => names({ sinks: { bok: {} } })).toThrow(
    'there are settings for the sink "bok", and there is no such sink; there are nats, book',
  )
})
