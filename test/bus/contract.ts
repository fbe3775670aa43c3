/**
 * What every bus promises, over NATS or in memory: the same questions to both.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Bus, Incoming } from '../../src/bus/port.ts'
import { eventually, rejection } from './eventually.ts'
import { keepsTheLogContract } from './logContract.ts'
import { collect, flush, text } from './messages.ts'

export interface BusWorld {
  connect(name: string): Promise<Bus>
  close(): Promise<void>
}

const silenceMs = 150
const patienceMs = 5000

export function keepsTheBusContract(kind: string, open: () => Promise<BusWorld>): void {
  describe(`a bus ${kind}`, () => {
    let world: BusWorld
    let used = 0
    const open_: Bus[] = []
    const connect = async (name = 'test'): Promise<Bus> => {
      const bus = await world.connect(name)
      open_.push(bus)
      return bus
    }
    /** Its own corner of the subjects: tests share a server. */
    const corner = (): string => `t${(used += 1)}`
    const stream = (): string => `S${(used += 1)}`

    beforeAll(async () => {
      world = await open()
    })
    afterEach(async () => {
      await Promise.all(open_.splice(0).map(bus => bus.close()))
    })
    afterAll(async () => {
      await world.close()
    })

    describe('messages', () => {
      it('a subscriber hears what is published, in order, with its headers in lower case', async () => {
        const [a, b] = [await connect(), await connect()]
        const at = corner()
        const heard: Incoming[] = []
        a.subscribe(`${at}.*.x`, message => heard.push(message))
        await flush(a)
        for (let n = 0; n < 100; n += 1) b.publish(`${at}.${n}.x`, `body ${n} µm`, { 'Ocps-Id': `${n}` })
        await eventually('100 messages are heard', () => heard.length === 100)
        expect(heard.map(message => text(message))).toEqual(Array.from({ length: 100 }, (_, n) => `body ${n} µm`))
        expect(heard[7]).toMatchObject({ subject: `${at}.7.x`, headers: { 'ocps-id': '7' }, reply: null })
      })

      it('a star stands for one token and an angle for the rest', async () => {
        const bus = await connect()
        const at = corner()
        const one: string[] = []
        const rest: string[] = []
        bus.subscribe(`${at}.*`, message => one.push(message.subject))
        bus.subscribe(`${at}.>`, message => rest.push(message.subject))
        for (const tail of ['a', 'a.b', 'a.b.c']) bus.publish(`${at}.${tail}`, '')
        bus.publish(at, '')
        await flush(bus)
        expect(one).toEqual([`${at}.a`])
        expect(rest).toEqual([`${at}.a`, `${at}.a.b`, `${at}.a.b.c`])
      })

      it('a stopped subscription hears what was sent before and nothing after', async () => {
        const bus = await connect()
        const at = corner()
        const heard: string[] = []
        const subscription = bus.subscribe(at, message => heard.push(text(message)))
        bus.publish(at, 'before')
        await subscription.stop()
        bus.publish(at, 'after')
        await flush(bus)
        expect(heard).toEqual(['before'])
      })

      it.each(['', 'a b', 'a.\r\nPUB x 0', 'a..b', '.a', 'a.', 'a.*', '>', 'grün', 'x'.repeat(2000)])(
        'the subject %j is refused before it reaches the wire',
        async subject => {
          const bus = await connect()
          expect(() => bus.publish(subject, '')).toThrow(expect.objectContaining({ code: 'BAD_SUBJECT' }))
          expect(await rejection(bus.request(subject, '', { timeoutMs: silenceMs }))).toMatchObject({
            code: 'BAD_SUBJECT',
          })
        },
      )

      it('a pattern with a wildcard inside a token is refused', async () => {
        const bus = await connect()
        for (const pattern of ['a*', 'a.>.b', 'a b', '']) {
          expect(() => bus.subscribe(pattern, () => {})).toThrow(expect.objectContaining({ code: 'BAD_SUBJECT' }))
        }
      })

      it('a header that would start a new line is refused', async () => {
        const bus = await connect()
        expect(() => bus.publish(corner(), '', { 'Ocps-Id': 'a\r\nNats-Msg-Id: b' })).toThrow(
          expect.objectContaining({ code: 'BAD_HEADER' }),
        )
        expect(() => bus.publish(corner(), '', { 'Ocps Id': 'a' })).toThrow(
          expect.objectContaining({ code: 'BAD_HEADER' }),
        )
      })

      it('a message of exactly the largest size passes, one byte more is refused and the connection goes on', async () => {
        const bus = await connect()
        const at = corner()
        const sizes: number[] = []
        bus.subscribe(at, message => sizes.push(message.body.length))
        const { maxPayload } = bus.server
        bus.publish(at, 'x'.repeat(maxPayload))
        expect(() => bus.publish(at, 'x'.repeat(maxPayload + 1))).toThrow(
          expect.objectContaining({ code: 'TOO_LARGE' }),
        )
        expect(() => bus.publish(at, 'x'.repeat(maxPayload), { a: 'b' })).toThrow(
          expect.objectContaining({ code: 'TOO_LARGE' }),
        )
        expect(await rejection(bus.request(at, 'x'.repeat(maxPayload + 1), { timeoutMs: silenceMs }))).toMatchObject({
          code: 'TOO_LARGE',
        })
        await flush(bus)
        expect(sizes).toEqual([maxPayload])
      })
    })

    describe('questions', () => {
      it('one question has one answer', async () => {
        const [client, service] = [await connect(), await connect()]
        const at = corner()
        service.subscribe(
          at,
          ({ reply, body }) => reply !== null && service.publish(reply, `${Buffer.from(body).toString()}!`, { A: 'b' }),
        )
        await flush(service)
        const answer = await client.request(at, 'ready?', { timeoutMs: patienceMs, headers: { From: 'test' } })
        expect(text(answer)).toBe('ready?!')
        expect(answer.headers).toEqual({ a: 'b' })
      })

      it('where nobody listens the asker is told at once', async () => {
        const bus = await connect()
        expect(await rejection(bus.request(corner(), '', { timeoutMs: 3_600_000 }))).toMatchObject({
          code: 'NO_RESPONDERS',
        })
        expect(
          await rejection(collect(bus.requestMany(corner(), '', { timeoutMs: 3_600_000, last: () => false }))),
        ).toMatchObject({
          code: 'NO_RESPONDERS',
        })
      })

      it('a service that stays silent is a timeout', async () => {
        const bus = await connect()
        const at = corner()
        bus.subscribe(at, () => {})
        await flush(bus)
        expect(await rejection(bus.request(at, '', { timeoutMs: silenceMs }))).toMatchObject({ code: 'TIMEOUT' })
      })

      it('a question with several answers gives them in order until the last', async () => {
        const [client, service] = [await connect(), await connect()]
        const at = corner()
        service.subscribe(at, ({ reply }) => {
          if (reply !== null)
            for (const part of ['in progress', 'half', 'done', 'too late']) service.publish(reply, part)
        })
        await flush(service)
        const last = (answer: Incoming): boolean => text(answer) === 'done'
        const answers = await collect(client.requestMany(at, '', { timeoutMs: patienceMs, last }))
        expect(answers.map(text)).toEqual(['in progress', 'half', 'done'])
      })

      it('the time given is the silence allowed: it starts anew with every answer', async () => {
        const [client, service] = [await connect(), await connect()]
        const at = corner()
        let replyTo = ''
        service.subscribe(at, ({ reply }) => {
          replyTo = reply ?? ''
          service.publish(replyTo, 'one')
        })
        await flush(service)
        const seen: string[] = []
        const asking = (async () => {
          for await (const answer of client.requestMany(at, '', { timeoutMs: silenceMs, last: () => false })) {
            seen.push(text(answer))
            if (seen.length < 3) service.publish(replyTo, 'more')
          }
        })()
        expect(await rejection(asking)).toMatchObject({ code: 'TIMEOUT' })
        expect(seen).toEqual(['one', 'more', 'more'])
      })
    })

    describe('a retained stream', () => {
      const hourMs = 3_600_000

      it('gives a late joiner the last message of every subject', async () => {
        const [bus, late] = [await connect(), await connect()]
        const [name, at] = [stream(), corner()]
        const retained = await bus.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        retained.publish({ subject: `${at}.summaryState`, body: 'disabled', id: 'a:1' })
        retained.publish({ subject: `${at}.queue`, body: '3', id: 'a:2' })
        retained.publish({ subject: `${at}.summaryState`, body: 'enabled', id: 'a:3' })
        await retained.flushed()
        const again = await late.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        expect(await again.last(`${at}.summaryState`)).toBe('enabled')
        expect(await again.last(`${at}.queue`)).toBe('3')
        expect(await again.last(`${at}.never`)).toBeNull()
        expect(await again.lastId()).toBe('a:3')
      })

      it('is seen live, in order', async () => {
        const [bus, listener] = [await connect(), await connect()]
        const [name, at] = [stream(), corner()]
        const retained = await bus.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        const heard: string[] = []
        listener.subscribe(`${at}.>`, message => heard.push(text(message)))
        await flush(listener)
        const sent = Array.from({ length: 3000 }, (_, n) => `${n}`)
        for (const body of sent) retained.publish({ subject: `${at}.${Number(body) % 7}`, body, id: `a:${body}` })
        await retained.flushed()
        await eventually('all are heard', () => heard.length === sent.length)
        expect(heard).toEqual(sent)
      })

      it('is heard once each and known to be stored, whoever else writes to it', async () => {
        const [bus, stranger, listener] = [await connect(), await connect(), await connect()]
        const [name, at] = [stream(), corner()]
        const retained = await bus.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        const heard: string[] = []
        listener.subscribe(`${at}.job.*`, message => heard.push(text(message)))
        await flush(listener)
        const sent: string[] = []
        for (let burst = 0; burst < 40; burst += 1) {
          for (const part of ['a', 'b', 'c']) {
            sent.push(`${burst}${part}`)
            retained.publish({ subject: `${at}.job.${part}`, body: `${burst}${part}`, id: `x:${burst}${part}` })
          }
          if (burst % 3 === 0) bus.publish(`${at}.heartbeat`, `${burst}`)
          if (burst % 4 === 0) stranger.publish(`${at}.other`, `${burst}`)
          if (burst % 2 === 0) await retained.flushed()
        }
        await retained.flushed()
        await eventually('all are heard', () => heard.length >= sent.length)
        await flush(listener)
        expect(heard).toEqual(sent)
        expect(await retained.last(`${at}.job.c`)).toBe('39c')
      })

      it('a restarted publisher goes on after its newest id, whoever else published in between', async () => {
        const bus = await connect()
        const [name, at] = [stream(), corner()]
        const retained = await bus.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        expect(await retained.lastId()).toBeNull()
        retained.publish({ subject: `${at}.job`, body: '', id: 'a:17' })
        await retained.flushed()
        for (let beat = 0; beat < 1500; beat += 1) bus.publish(`${at}.heartbeat`, `${beat}`)
        await eventually('all beats are kept', async () => (await retained.last(`${at}.heartbeat`)) === '1499')
        expect(await retained.lastId()).toBe('a:17')
      })

      it('a restarted publisher goes on after the newest id it accepts, whatever ids others publish with', async () => {
        const [bus, stranger] = [await connect(), await connect()]
        const [name, at] = [stream(), corner()]
        const retained = await bus.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        const accepts = (id: string): boolean => id.startsWith('a:')
        retained.publish({ subject: `${at}.job`, body: '', id: 'a:17' })
        await retained.flushed()
        stranger.publish(`${at}.other`, 'stray', { 'Nats-Msg-Id': 'hello' })
        await eventually('it is kept', async () => (await retained.last(`${at}.other`)) === 'stray')
        expect(await retained.lastId(accepts)).toBe('a:17')
        expect(await retained.lastId(id => id === 'b')).toBeNull()
      })

      it('an id that was stored is not stored again', async () => {
        const bus = await connect()
        const [name, at] = [stream(), corner()]
        const retained = await bus.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        retained.publish({ subject: `${at}.a`, body: 'first', id: 'a:1' })
        retained.publish({ subject: `${at}.a`, body: 'again', id: 'a:1' })
        await retained.flushed()
        expect(await retained.last(`${at}.a`)).toBe('first')
      })

      it('a message that can never be published is left out and those behind it go through', async () => {
        const bus = await connect()
        const [name, at] = [stream(), corner()]
        const retained = await bus.retained({ name, subjects: [`${at}.>`], maxAgeMs: hourMs })
        retained.publish({ subject: `${at}.a b`, body: '', id: 'a:1' })
        retained.publish({ subject: `elsewhere.${at}`, body: '', id: 'a:2' })
        retained.publish({ subject: `${at}.big`, body: 'x'.repeat(bus.server.maxPayload), id: 'a:3' })
        retained.publish({ subject: `${at}.good`, body: 'good', id: 'a:4' })
        await retained.flushed()
        expect(await retained.last(`${at}.good`)).toBe('good')
        expect(await retained.lastId()).toBe('a:4')
      })

      it('what is published just before closing is kept', async () => {
        const [bus, late] = [await connect(), await connect()]
        const options = { name: stream(), subjects: [`${corner()}.>`], maxAgeMs: hourMs }
        const subject = `${options.subjects[0]?.slice(0, -2)}.last`
        const retained = await bus.retained(options)
        for (let n = 0; n < 2000; n += 1) retained.publish({ subject, body: `${n}`, id: `a:${n}` })
        await bus.close()
        expect(await (await late.retained(options)).last(subject)).toBe('1999')
      })
    })

    describe('a log', () => keepsTheLogContract({ connect, corner, stream }))

    describe('a lease', () => {
      const ttlMs = 1000

      it('is held by one; another is told by whom', async () => {
        const [a, b] = [await connect(), await connect()]
        const name = stream()
        const first = await a.lease({ name, holder: 'summit-1', ttlMs, onLost: () => {} })
        expect(first.held).toBe(true)
        expect(await b.lease({ name, holder: 'summit-2', ttlMs, onLost: () => {} })).toEqual({
          held: false,
          holder: 'summit-1',
        })
        if (first.held) await first.release()
        const second = await b.lease({ name, holder: 'summit-2', ttlMs, onLost: () => {} })
        expect(second.held).toBe(true)
        if (second.held) await second.release()
      })

      it('outlives its time while its holder lives, and ends by itself when the holder is gone', async () => {
        const [a, b] = [await connect(), await connect()]
        const name = stream()
        let lost = 0
        await a.lease({ name, holder: 'summit-1', ttlMs, onLost: () => (lost += 1) })
        const until = performance.now() + 2 * ttlMs
        await eventually('twice the time has passed and it was held throughout', async () => {
          const tried = await b.lease({ name, holder: 'summit-2', ttlMs, onLost: () => {} })
          expect(tried.held).toBe(false)
          return performance.now() > until
        })
        expect(lost).toBe(0)
        await a.close()
        let taken = await b.lease({ name, holder: 'summit-2', ttlMs, onLost: () => {} })
        await eventually('the lease has expired', async () => {
          if (!taken.held) taken = await b.lease({ name, holder: 'summit-2', ttlMs, onLost: () => {} })
          return taken.held
        })
        if (taken.held) await taken.release()
      })
    })

    it('is connected when it says so, and refuses everything once closed', async () => {
      const bus = await world.connect('closing')
      const statuses: string[] = []
      bus.onStatus(status => statuses.push(status))
      expect(statuses).toEqual(['connected'])
      const log = await bus.log({ name: stream(), subject: corner() })
      await bus.close()
      expect(statuses).toEqual(['connected', 'disconnected'])
      const closed = expect.objectContaining({ code: 'CLOSED' })
      expect(() => bus.publish('a', '')).toThrow(closed)
      expect(() => bus.subscribe('a', () => {})).toThrow(closed)
      expect(await rejection(bus.request('a', '', { timeoutMs: silenceMs }))).toEqual(closed)
      expect(await rejection(bus.log({ name: stream(), subject: corner() }))).toEqual(closed)
      expect(await rejection(log.append({ body: '', id: 'a', after: '' }))).toEqual(closed)
      await bus.close()
    })
  })
}
