import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import { decodeCommand } from '../../src/contract/decode.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { aCaller, NIGHTFALL } from '../harness.ts'
import { createNight, type Night } from '../night.ts'
import { asked, enabled } from './engineGiven.ts'

/** Lets everything run that needs no clock and no answer from the journal. */
const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

describe('engine: a message id is executed once', () => {
  test('the same message twice makes one job and is answered alike', async () => {
    const night = await enabled()
    const first = await night.command('processData', asked(), { id: 'p' })
    const second = await night.command('processData', asked(), { id: 'p' })
    expect(second).toEqual(first)
    expect(night.acks('p')).toHaveLength(2)
    expect(night.orders().filter(({ type }) => type === 'executor.start')).toHaveLength(1)
  })

  test('the same id with another body is refused, and nothing else happens', async () => {
    const night = await enabled()
    await night.command('processData', asked('E1'), { id: 'p' })
    const entries = night.journal.lines.length
    expect(await night.command('processData', asked('E2'), { id: 'p' })).toMatchObject({
      ack: ACK.FAILED,
      code: 'ID_REUSED',
    })
    expect(night.journal.lines).toHaveLength(entries)
  })

  test('a copy that comes while the first is being written down is answered with it', async () => {
    const night = await enabled()
    night.journal.hold()
    night.send('processData', asked(), { id: 'p', reply: 'first' })
    await turn()
    night.send('processData', asked(), { id: 'p', reply: 'second' })
    await turn()
    expect(night.acks('p')).toEqual([])
    night.journal.release()
    await night.settled()
    const replies = night.said.flatMap(({ announcement: one }) =>
      one.type === 'ack' && one.caller.id === 'p' ? [[one.caller.reply, one.body.ack]] : [],
    )
    expect(replies).toEqual([
      ['first', ACK.COMPLETE],
      ['second', ACK.COMPLETE],
    ])
    expect(night.entries().filter(({ what }) => what.type === 'command.processData')).toHaveLength(1)
  })

  test.each([
    ['processData', asked()],
    ['start', {}],
    ['closeGroup', { group: 'G' }],
    ['abortJob', { jobId: 'x' }],
    ['setLogLevel', { level: 10 }],
  ])('after a restart the same %s is known, and answered as before', async (name, body) => {
    const night = await enabled()
    const first = await night.command(name, body, { id: 'p' })
    await night.restart()
    const entries = night.journal.lines.length
    expect(await night.command(name, body, { id: 'p' })).toEqual(first)
    expect(night.journal.lines).toHaveLength(entries)
    expect(await night.command('resume', {}, { id: 'p' })).toMatchObject({ code: 'ID_REUSED' })
  })
})

describe('engine: written down first', () => {
  test('nothing is acknowledged, said or ordered before the journal has it', async () => {
    const night = await enabled()
    const said = night.said.length
    night.journal.hold()
    night.send('processData', asked(), { id: 'p' })
    await turn()
    expect(night.said).toHaveLength(said)
    expect(night.orders()).toEqual([])
    night.journal.release()
    await night.settled()
    expect(night.acks('p')).toMatchObject([{ ack: ACK.COMPLETE }])
    expect(night.orders()).toHaveLength(1)
  })

  test('a process that dies before the journal answers has accepted nothing', async () => {
    const night = await enabled()
    night.journal.hold()
    night.send('processData', asked(), { id: 'p' })
    await turn()
    const survived = createMemoryJournal(night.entries())
    night.engine().stop()
    const again = await createNight({ journal: survived, clock: night.clock })
    expect(night.acks('p')).toEqual([])
    expect(again.orders()).toEqual([])
    expect(await again.command('processData', asked(), { id: 'p' })).toMatchObject({ ack: ACK.COMPLETE })
  })

  test('what arrives together is written together, numbered without holes, never back in time', async () => {
    const night = await enabled()
    for (let i = 0; i < 500; i++) night.send('setLogLevel', { level: i % 100 })
    await night.settled()
    const entries = night.entries()
    expect(entries.map(({ n }) => n)).toEqual(entries.map((_, i) => i + 1))
    expect(entries.every(({ at }, i) => at >= (entries[i - 1]?.at ?? 0))).toBe(true)
  })

  test('a journal without space refuses commands, keeps reports, and takes both when it has space again', async () => {
    const night = await enabled()
    const jobId = (await night.command('processData', asked()))?.jobIds[0] ?? ''
    night.journal.failNext('FULL')
    night.send('processData', asked('E2'), { id: 'p' })
    night.engine().input({ type: 'executor.started', jobId, attempt: 1, pid: 1 }, 'report')
    await turn()
    expect(night.acks('p')).toMatchObject([{ ack: ACK.FAILED, code: 'JOURNAL_FULL' }])
    expect(night.state(`job.${jobId}`)).toBe('active.starting')
    night.clock.advance(1_000)
    await night.settled()
    expect(night.state(`job.${jobId}`)).toBe('active.running')
    expect(await night.command('processData', asked('E2'), { id: 'p' })).toMatchObject({ ack: ACK.COMPLETE })
  })

  test('an orchestrator that was fenced off stops: nothing more is written, said or ordered', async () => {
    const night = await enabled()
    const said = night.said.length
    night.journal.failNext('FENCED')
    night.send('processData', asked())
    await night.settled()
    expect(night.lost()).toMatchObject([{ code: 'FENCED' }])
    night.send('processData', asked('E2'))
    await night.settled()
    expect(night.said).toHaveLength(said)
    expect(night.orders()).toEqual([])
  })

  test('more than 10 000 commands waiting are refused OVERLOADED, and the others are not lost', async () => {
    const night = await enabled()
    const decoded = decodeCommand('pause', new Uint8Array(), 'LATISS')
    if (!decoded.ok) throw new Error(decoded.refusal.reason)
    night.journal.hold()
    for (let i = 0; i <= 10_000; i++) night.engine().command(decoded.command, aCaller(`c${i}`))
    expect(night.acks('c10000')).toMatchObject([{ ack: ACK.FAILED, code: 'OVERLOADED' }])
    night.journal.release()
    await night.settled()
    expect(night.acks('c9999')).toMatchObject([{ ack: ACK.COMPLETE }])
    night.engine().command(decoded.command, aCaller('c10000'))
    await night.settled()
    expect(night.acks('c10000').at(-1)).toMatchObject({ ack: ACK.COMPLETE })
  })

  test('a report that arrives just as the last delivery ends is not left lying', async () => {
    const night = await enabled({
      onOrder: (order, report) => {
        if (order.type !== 'executor.start') return
        queueMicrotask(() => report({ type: 'executor.started', jobId: order.jobId, attempt: 1, pid: 1 }))
      },
    })
    const jobId = (await night.command('processData', asked()))?.jobIds[0] ?? ''
    await turn()
    expect(night.state(`job.${jobId}`)).toBe('active.running')
  })

  test('the process is asked to end when the CSC goes OFFLINE', async () => {
    const night = await createNight()
    expect(night.wentOffline()).toBe(false)
    await night.command('exitControl')
    expect(night.wentOffline()).toBe(true)
  })
})

describe('engine: time', () => {
  const readiness = (waitFor: number) => ({ readiness: { waitFor } })

  test('timers fire in the order they are due, each at its moment, and their firing is journaled', async () => {
    const night = await enabled()
    for (const [obsid, wait] of [
      ['E1', 30],
      ['E2', 10],
      ['E3', 20],
    ] as const)
      await night.command('processData', asked(obsid, readiness(wait)))
    await night.advance(60_000)
    expect(dues(night)).toEqual([10_000, 20_000, 30_000])
    expect(night.events('jobResult').map(({ dataId }) => dataId.obsid)).toEqual(['E2', 'E3', 'E1'])
  })

  test('timers that came due while the process was down fire in due order when it is back, once', async () => {
    const night = await enabled()
    for (const [obsid, wait] of [
      ['E1', 30],
      ['E2', 10],
      ['E3', 500],
    ] as const)
      await night.command('processData', asked(obsid, readiness(wait)))
    night.engine().stop()
    night.clock.advance(60_000)
    await night.restart()
    await night.advance(0)
    expect(night.events('jobResult').map(({ dataId }) => dataId.obsid)).toEqual(['E2', 'E1'])
    expect(dues(night)).toEqual([60_000, 60_000])
    await night.restart()
    await night.advance(0)
    expect(dues(night)).toHaveLength(2)
    await night.advance(500_000)
    expect(dues(night)).toEqual([60_000, 60_000, 500_000])
  })

  test('a timer armed anew while the firing of its former self was being written down keeps its own time', async () => {
    const night = await enabled()
    const member = (obsid: string) => asked(obsid, { group: 'G' })
    const jobId = (await night.command('processData', member('E1')))?.jobIds[0] ?? ''
    await night.started(jobId)
    await night.command('closeGroup', { group: 'G', patience: 5 })
    night.journal.hold()
    const exited = { exitCode: 0, signal: null, usage: null as never, stderrTail: '' }
    night.engine().input({ type: 'executor.exited', jobId, attempt: 1, ...exited }, 'report')
    night.send('processData', member('E2'))
    night.clock.advance(5_000)
    night.journal.release()
    await night.settled()
    // The first closure ended with E1; E2 came late, and the group waits for it the whole patience.
    expect(night.events('groupResult')).toMatchObject([{ revision: 1, missing: [] }])
    expect(night.state('gather.G')).toBe('closing')
    await night.advance(5_000)
    expect(night.events('groupResult')).toMatchObject([{ revision: 1 }, { revision: 2, missing: ['E2'] }])
  })
})

/** When timers fired, milliseconds after nightfall. */
function dues(night: Night): number[] {
  return night.entries().flatMap(({ door, at }) => (door === 'clock' ? [at - NIGHTFALL] : []))
}
