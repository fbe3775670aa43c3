import { describe, expect, it } from 'vitest'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import { steppedClock } from '../../src/bus/memory-clock.ts'
import { keepsTheBusContract } from './contract.ts'
import { chain, collect, text } from './messages.ts'
import { rejection } from './eventually.ts'

keepsTheBusContract('in memory', async () => {
  const network = createMemoryNetwork()
  return { connect: async name => network.connect(name), close: async () => {} }
})

describe('the network in memory', () => {
  it('loses what is published while it is cut, and keeps what is acknowledged until it is back', async () => {
    const network = createMemoryNetwork()
    const bus = network.connect('a')
    const heard: string[] = []
    const statuses: string[] = []
    bus.onStatus(status => statuses.push(status))
    bus.subscribe('t.>', message => heard.push(text(message)))
    const retained = await bus.retained({ name: 'R', subjects: ['t.>'], maxAgeMs: 1000 })
    const log = await bus.log({ name: 'L', subject: 'journal' })
    network.disconnect()
    bus.publish('t.a', 'lost')
    retained.publish({ subject: 't.b', body: 'kept', id: '1' })
    const appends = Promise.all(chain('a', '', 3).map(message => log.append(message)))
    await network.settle()
    expect(heard).toEqual([])
    network.reconnect()
    await appends
    await network.settle()
    expect(heard).toEqual(['kept'])
    expect((await log.last())?.id).toBe('a:3')
    expect(statuses).toEqual(['connected', 'disconnected', 'connected'])
  })

  it('refuses appends when it is told to be full, and stores nothing of them', async () => {
    const network = createMemoryNetwork()
    const log = await network.connect('a').log({ name: 'L', subject: 'journal' })
    network.failAppends('FULL')
    expect(await rejection(log.append({ body: '', id: 'a:1', after: '' }))).toMatchObject({ code: 'FULL' })
    network.failAppends('none')
    await log.append({ body: '', id: 'a:1', after: '' })
    expect(await collect(log.read())).toHaveLength(1)
  })

  it('holds appends back until it is told otherwise, in order', async () => {
    const network = createMemoryNetwork()
    const log = await network.connect('a').log({ name: 'L', subject: 'journal' })
    network.failAppends('hold')
    const appends = Promise.all(chain('a', '', 3).map(message => log.append(message)))
    await network.settle()
    expect(await log.last()).toBeNull()
    network.failAppends('none')
    await appends
    expect((await log.last())?.id).toBe('a:3')
  })

  it('steps its time: a lease whose holder is gone expires exactly when it should', async () => {
    const clock = steppedClock()
    const network = createMemoryNetwork({ clock })
    const [a, b] = [network.connect('a'), network.connect('b')]
    const take = async (bus: typeof a): Promise<boolean> =>
      (await bus.lease({ name: 'L', holder: 'x', ttlMs: 3000, onLost: () => {} })).held
    expect(await take(a)).toBe(true)
    clock.advance(60_000)
    expect(await take(b)).toBe(false)
    await a.close()
    clock.advance(2999)
    expect(await take(b)).toBe(false)
    clock.advance(1)
    expect(await take(b)).toBe(true)
  })

  it('a lease that ran out while the network was cut is not sure, is taken anew after it, and counts that', async () => {
    const clock = steppedClock()
    const network = createMemoryNetwork({ clock })
    let lost = 0
    const lease = await network.connect('a').lease({ name: 'L', holder: 'x', ttlMs: 3000, onLost: () => (lost += 1) })
    if (!lease.held) throw new Error('nobody else has it')
    network.disconnect()
    clock.advance(10_000)
    expect([lease.isSure(), lease.lapses(), lost]).toEqual([false, 0, 0])
    network.reconnect()
    clock.advance(1_000)
    expect([lease.isSure(), lease.lapses(), lost]).toEqual([true, 1, 0])
  })

  it('tells the holder of a lease that someone else took while it could not renew', async () => {
    const clock = steppedClock()
    const network = createMemoryNetwork({ clock })
    let lost = 0
    await network.connect('a').lease({ name: 'L', holder: 'x', ttlMs: 3000, onLost: () => (lost += 1) })
    network.disconnect()
    clock.advance(3_500)
    await network.connect('b').lease({ name: 'L', holder: 'y', ttlMs: 3000, onLost: () => {} })
    network.reconnect()
    clock.advance(1_000)
    expect(lost).toBe(1)
  })

  it('forgets retained messages that are too old', async () => {
    const clock = steppedClock()
    const network = createMemoryNetwork({ clock })
    const retained = await network.connect('a').retained({ name: 'R', subjects: ['t.>'], maxAgeMs: 1000 })
    retained.publish({ subject: 't.a', body: 'x', id: '1' })
    await retained.flushed()
    clock.advance(1000)
    expect(await retained.last('t.a')).toBe('x')
    clock.advance(1)
    expect(await retained.last('t.a')).toBeNull()
    expect(await retained.lastId()).toBeNull()
  })
})
