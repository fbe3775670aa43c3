/**
 * What every log of a bus promises, over NATS or in memory: a part of contract.ts.
 */
import { expect, it } from 'vitest'
import type { Bus } from '../../src/bus/port.ts'
import { eventually, rejection } from './eventually.ts'
import { chain, collect } from './messages.ts'

export interface Corner {
  readonly connect: (name?: string) => Promise<Bus>
  /** Its own corner of the subjects: tests share a server. */
  readonly corner: () => string
  readonly stream: () => string
}

export function keepsTheLogContract({ connect, corner, stream }: Corner): void {
  it('that is empty reads as empty, and has no newest message', async () => {
    const log = await (await connect()).log({ name: stream(), subject: corner() })
    expect(await log.last()).toBeNull()
    expect(await collect(log.read())).toEqual([])
  })

  it('keeps everything in order, for its writer and for those who come later', async () => {
    const [bus, late] = [await connect(), await connect()]
    const options = { name: stream(), subject: corner() }
    const written = chain('a', '', 250)
    const log = await bus.log(options)
    await Promise.all(written.map(message => log.append(message)))
    const again = await late.log(options)
    expect(await collect(again.read())).toEqual(written.map(({ body, id }, at) => ({ body, id, sequence: at + 1 })))
    expect((await again.last())?.id).toBe('a:250')
  })

  it('is read from its newest mark on, and from the start where there is none', async () => {
    const log = await (await connect()).log({ name: stream(), subject: corner() })
    const written = chain('a', '', 9)
    for (const message of written.slice(0, 3)) await log.append(message)
    expect(await collect(log.read('mark'))).toHaveLength(3)
    for (const [index, message] of written.slice(3).entries())
      await log.append({ ...message, isMark: index === 0 || index === 3 })
    expect((await collect(log.read('mark'))).map(({ id }) => id)).toEqual(['a:7', 'a:8', 'a:9'])
    expect((await collect(log.read('mark', 2))).map(({ id }) => id)).toEqual(['a:5', 'a:6', 'a:7', 'a:8', 'a:9'])
    expect(await collect(log.read('mark', 20))).toHaveLength(9)
    expect(await collect(log.read())).toHaveLength(9)
    expect((await log.last())?.id).toBe('a:9')
  })

  it('the newest message again resolves and is not stored twice', async () => {
    const log = await (await connect()).log({ name: stream(), subject: corner() })
    const written = chain('a', '', 3)
    for (const message of written) await log.append(message)
    for (const message of written.slice(-1)) await log.append(message)
    expect(await collect(log.read())).toHaveLength(3)
  })

  it('passes over what others publish on its subjects: it neither fences a writer off nor is it the newest message or mark', async () => {
    const [bus, stranger] = [await connect(), await connect()]
    const at = corner()
    const isWritten = ({ id }: { id: string }): boolean => /^[ab]:\d+$/.test(id)
    const options = { name: stream(), subject: at, isWritten }
    const log = await bus.log(options)
    const stray = async (subject: string, id?: string): Promise<void> => {
      const { last } = await log.state()
      stranger.publish(subject, 'stray', id === undefined ? {} : { 'Nats-Msg-Id': id })
      await eventually('it is in the stream', async () => (await log.state()).last > last)
    }
    await stray(at)
    await log.append({ body: '', id: 'a:1', after: '' })
    await log.append({ body: '', id: 'a:2', after: 'a:1', isMark: true })
    await stray(at)
    await stray(`${at}.mark`, 'hello')
    await log.append({ body: '', id: 'a:3', after: 'a:2' })
    await stray(at, 'hello again')
    await stray(`${at}.mark`)
    expect(await log.last()).toMatchObject({ id: 'a:3' })
    expect((await collect(log.read('mark'))).filter(isWritten).map(({ id }) => id)).toEqual(['a:2', 'a:3'])
    expect((await collect(log.read('mark', 1))).filter(isWritten).map(({ id }) => id)).toEqual(['a:1', 'a:2', 'a:3'])
    const late = await (await connect()).log(options)
    expect(await late.last()).toMatchObject({ id: 'a:3' })
    await late.append({ body: '', id: 'b:4', after: 'a:3' })
    expect(await rejection(log.append({ body: '', id: 'a:4', after: 'a:3' }))).toMatchObject({ code: 'FENCED' })
    expect((await collect(late.read())).map(({ id }) => id).filter(id => isWritten({ id }))).toEqual([
      'a:1',
      'a:2',
      'a:3',
      'b:4',
    ])
  })

  it('emptied holds nothing, says how much was there, and fences off whoever wrote before the next', async () => {
    const options = { name: stream(), subject: corner() }
    const [old, young] = [await (await connect()).log(options), await (await connect()).log(options)]
    for (const message of chain('a', '', 3)) await old.append(message)
    await young.purge()
    expect(await collect(young.read())).toEqual([])
    expect(await young.last()).toBeNull()
    expect(await young.state()).toEqual({ first: 4, last: 3, lastReadable: 0, messages: 0 })
    await young.append({ body: '', id: 'b:9', after: '' })
    expect(await rejection(old.append({ body: '', id: 'a:4', after: 'a:3' }))).toMatchObject({ code: 'FENCED' })
    expect(await young.last()).toMatchObject({ id: 'b:9', sequence: 4 })
  })

  it('of two writers the one that comes later wins, and the other is fenced off for good', async () => {
    const options = { name: stream(), subject: corner() }
    const [old, young] = [await (await connect()).log(options), await (await connect()).log(options)]
    for (const message of chain('1', '', 5)) await old.append(message)
    await young.append({ body: 'mine now', id: '2:5', after: (await young.last())?.id ?? '' })
    const late = await Promise.all(chain('1', '1:5', 10, 5).map(async message => await rejection(old.append(message))))
    expect(late.map(error => Reflect.get(Object(error), 'code'))).toEqual(Array.from({ length: 10 }, () => 'FENCED'))
    await young.append({ body: 'still mine', id: '2:6', after: '2:5' })
    expect((await collect(young.read())).map(({ id }) => id)).toEqual(['1:1', '1:2', '1:3', '1:4', '1:5', '2:5', '2:6'])
  })

  it('two writers with many in flight leave one unbroken chain', async () => {
    const options = { name: stream(), subject: corner() }
    const [a, b] = [await (await connect()).log(options), await (await connect()).log(options)]
    const writing = chain('a', '', 200).map(async message => await rejection(a.append(message)))
    const alsoWriting = chain('b', '', 200).map(async message => await rejection(b.append(message)))
    const results = await Promise.all(writing.concat(alsoWriting))
    const stored = await collect(a.read())
    const winner = stored[0]?.id.split(':')[0] ?? ''
    expect(stored.map(({ id }) => id)).toEqual(chain(winner, '', 200).map(({ id }) => id))
    expect(results.filter(result => result === 'it did not reject')).toHaveLength(200)
    expect(results.filter(result => Reflect.get(Object(result), 'code') === 'FENCED')).toHaveLength(200)
  })

  it('the first message of a writer who thinks the log empty is refused when it is not', async () => {
    const options = { name: stream(), subject: corner() }
    const log = await (await connect()).log(options)
    await log.append({ body: '', id: 'a:1', after: '' })
    expect(await rejection(log.append({ body: '', id: 'b:1', after: '' }))).toMatchObject({ code: 'FENCED' })
    expect((await log.last())?.id).toBe('a:1')
  })

  it('a message too large is refused, and the log goes on', async () => {
    const bus = await connect()
    const log = await bus.log({ name: stream(), subject: corner() })
    const body = 'x'.repeat(bus.server.maxPayload)
    expect(await rejection(log.append({ body, id: 'a:1', after: '' }))).toMatchObject({ code: 'TOO_LARGE' })
    await log.append({ body: 'small', id: 'a:1', after: '' })
    expect((await log.last())?.id).toBe('a:1')
  })
}
