import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { headers } from '@nats-io/transport-node'
import pino from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { streams, subjects } from '../../src/contract/subjects.ts'
import { type Service, startService } from '../../src/instance/start.ts'
import { eventually } from '../bus/eventually.ts'
import { buildIfMissing, ocps } from '../cli/run.ts'
import { makePlace, optionsFor, type Place } from '../conformance/instance.ts'
import { connectWire, must, type Wire } from '../conformance/wire.ts'
import { copyOf, damage } from '../journal/store.ts'
import { isUp, type Server, startServer } from './surroundings.ts'

/*
 * What anybody may do to the journal, the events and the lease of an instance, and what it does then: it goes on, or
 * ends with the true reason.
 */
const INSTANCE = 'LATISS'
const to = subjects(INSTANCE)
const dataId = (seqNum: number) => ({ obsid: `AT_O_20261122_${String(seqNum).padStart(6, '0')}` })

/** A server others run, and instances on it. */
async function surroundings() {
  const place = makePlace()
  const server = await startServer(place.dir)
  await isUp(server)
  const wire = await connectWire(server.url, INSTANCE)
  const running: Service[] = []
  const start = async () => {
    const service = await startService({ ...optionsFor(place), instance: INSTANCE, natsUrl: server.url })
    running.push(service)
    return service
  }
  onTestFinished(async () => {
    for (const service of running) await service.stop()
    await wire.close()
    await server.kill()
    place.remove()
  })
  return { place, server, wire, start }
}

async function anotherWire({ url }: Server): Promise<Wire> {
  const wire = await connectWire(url, INSTANCE)
  onTestFinished(async () => await wire.close())
  return wire
}

async function serves(wire: Wire, seqNum: number): Promise<string> {
  const ack = await wire.command('processData', { dataId: dataId(seqNum), pipeline: 'true' })
  expect(ack).toMatchObject({ ack: 303 })
  const jobId = must(ack.jobIds[0])
  expect(await wire.result(jobId)).toMatchObject({ outcome: { kind: 'succeeded' } })
  return jobId
}

const reports = (wire: Wire, part: string) =>
  wire.events('logMessage').filter(({ message }) => String(message).includes(part))

test('what strangers publish on journal and events changes nothing, while it runs and when it starts', async () => {
  const { wire, start } = await surroundings()
  const first = await start()
  await serves(wire, 1)
  const { connection } = wire
  for (const subject of [to.journal, `${to.journal}.mark`]) connection.publish(subject, 'hello')
  // The answer of the server, sent on to the journal.
  connection.publish('$JS.API.INFO', '', { reply: to.journal })
  await serves(wire, 2)
  for (const id of ['hello', `${INSTANCE}:hello`, 'OTHER:7.1']) {
    const lines = headers()
    lines.set('Nats-Msg-Id', id)
    connection.publish(to.event('zzz', id), '{}', { headers: lines })
  }
  await serves(wire, 3)
  await wire.quiet()
  expect(reports(wire, 'that no journal wrote')).toHaveLength(1)
  await first.stop()
  connection.publish(to.journal, 'and once more')
  await connection.flush()
  await start()
  await serves(wire, 4)
  expect(reports(wire, 'invariant')).toEqual([])
})

test('an event with an id of our own form, far ahead, costs numbers and nothing else', async () => {
  const { wire, start } = await surroundings()
  const first = await start()
  const before = await serves(wire, 1)
  const lines = headers()
  lines.set('Nats-Msg-Id', `${INSTANCE}:50000.1`)
  wire.connection.publish(to.event('zzz'), '{}', { headers: lines })
  await wire.connection.flush()
  await first.stop()
  await start()
  const after = await serves(wire, 2)
  expect(numberOf(after)).toBeGreaterThan(50_000)
  expect(numberOf(before)).toBeLessThan(1_000)
  expect(await wire.query('job', { jobId: before })).toMatchObject({ state: 'settled' })
})

test('the lease made away with is made again, and the instance goes on', async () => {
  const { wire, start } = await surroundings()
  await start()
  await wire.connection.request(`$JS.API.STREAM.DELETE.KV_${streams(INSTANCE).lease}`)
  await eventually('it says so', () => reports(wire, 'was gone; it was made again').length > 0)
  await serves(wire, 1)
})

test('the journal made away with ends the instance, with that reason and no other', async () => {
  const { wire, start } = await surroundings()
  const service = await start()
  await wire.connection.request(`$JS.API.STREAM.DELETE.${streams(INSTANCE).journal}`)
  wire.send('setLogLevel', { level: 10 })
  expect(await service.ended).toEqual({
    how: 'broken',
    why: expect.stringContaining('the stream is gone; someone removed it while it was written'),
  })
})

test('an older copy of the whole store put back: it starts, says so, and gives no job id out again', async () => {
  const { place, server, wire, start } = await surroundings()
  const first = await start()
  const known = await serves(wire, 1)
  await first.stop()
  await server.kill()
  const putBack = await copyOf(join(place.dir, 'nats'))
  server.start()
  await isUp(server)
  const second = await start()
  const then = await anotherWire(server)
  const forgotten = [await serves(then, 2), await serves(then, 3)]
  await second.stop()
  await server.kill()
  await putBack()
  server.start()
  await isUp(server)
  const now = await anotherWire(server)
  await start()
  await eventually('it says so', () => reports(now, 'an older copy').length > 0)
  const next = await serves(now, 4)
  expect(numberOf(next)).toBeGreaterThan(Math.max(...forgotten.map(numberOf)))
  expect(await now.query('job', { jobId: known })).toMatchObject({ state: 'settled' })
})

const END = ['zeroed tail', 'truncated', 'zeroed middle'] as const
test.each(END)(
  'a journal whose end is lost (%s) is gone on from, aloud, and no job id is given out again',
  async how => {
    const place = makePlace()
    onTestFinished(() => place.remove())
    const first = await embedded(place)
    const jobIds = []
    for (let n = 1; n <= 6; n += 1) jobIds.push(await serves(first.wire, n))
    await first.close()
    await damage(place.dataDir, streams(INSTANCE).journal, how)
    // An old server has to be started once more before it can be written to.
    const again = await embedded(place).catch(async (error: unknown) => {
      expect(error).toMatchObject({
        code: 'END_LOST',
        message: expect.stringMatching(/after entry \d+ .*Restart the server/),
      })
      return await embedded(place)
    })
    expect(await again.said(/JOURNAL_(END_LOST|BEHIND)/)).toMatch(
      /OCPS_LATISS_JOURNAL ends with entry \d+.*ocps journal check/,
    )
    const next = await serves(again.wire, 7)
    expect(numberOf(next)).toBeGreaterThan(Math.max(...jobIds.map(numberOf)))
    await again.close()
    const last = await embedded(place)
    expect(await last.said(/JOURNAL_/)).toContain('nothing like')
    expect(await last.wire.query('job', { jobId: next })).toMatchObject({ state: 'settled' })
    expect(numberOf(await serves(last.wire, 8))).toBeLessThan(numberOf(next) + 1_000)
  },
  60_000,
)

test('a journal with a flipped byte is refused with a sentence; it is checked, exported and renewed, and the instance serves again', {
  timeout: 120_000,
}, async () => {
  await buildIfMissing()
  const place = makePlace()
  onTestFinished(() => place.remove())
  const first = await embedded(place)
  const jobIds = [await serves(first.wire, 1), await serves(first.wire, 2)]
  await first.close()
  await damage(place.dataDir, streams(INSTANCE).journal, 'flipped byte')

  const run = async (...args: string[]) =>
    await ocps([...args, '--instance', INSTANCE, '--data', place.dataDir, '--json'], {
      cwd: place.dir,
      env: { NATS_SERVER_BIN: process.env['NATS_SERVER_BIN'] ?? '' },
    })
  const code = 'JOURNAL_HOLE'
  const refused = await run('serve', '--config', place.configDir)
  expect(refused.code).toBe(1)
  expect(JSON.parse(refused.stdout)).toMatchObject({
    error: {
      code,
      message: expect.stringMatching(
        /^OCPS_LATISS_JOURNAL, message \d+ .*entry \d+ where entry \d+ .*ocps journal renew/,
      ),
    },
  })
  const checked = await run('journal', 'check')
  expect(checked.code).toBe(1)
  expect(JSON.parse(checked.stdout)).toMatchObject({ starts: false, damages: [{ code: 'HOLE' }] })
  const file = join(place.dir, 'left.ndjson')
  expect(await run('journal', 'export', file)).toMatchObject({ code: 0, stderr: expect.stringContaining(code) })
  const left = (await readFile(file, 'utf8')).trim().split('\n')
  expect(left.length).toBeGreaterThan(5)
  expect(JSON.parse(left[0] ?? '')).toMatchObject({ n: 1 })
  expect(await run('journal', 'renew')).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
  expect((await run('journal', 'renew', '--yes')).code).toBe(0)
  expect((await run('journal', 'check')).code).toBe(0)

  const again = await embedded(place)
  expect(numberOf(await serves(again.wire, 3))).toBeGreaterThan(Math.max(...jobIds.map(numberOf)))
})

test('a journal is renewed for nobody while its instance runs', { timeout: 60_000 }, async () => {
  await buildIfMissing()
  const { place, server, wire, start } = await surroundings()
  await start()
  const ran = await ocps(['journal', 'renew', '--yes', '--instance', INSTANCE, '--url', server.url], { cwd: place.dir })
  expect(ran).toMatchObject({ code: 2, stderr: expect.stringContaining('is running: process') })
  await serves(wire, 1)
})

/** With a server of its own, and what it logged. */
async function embedded(place: Place) {
  const path = place.file('')
  const logFile = openSync(path, 'a')
  onTestFinished(() => closeSync(logFile))
  const service = await startService({
    ...optionsFor(place),
    instance: INSTANCE,
    logTo: pino.destination({ fd: logFile, sync: true }),
  })
  const wire = await connectWire(service.natsUrl, INSTANCE)
  const close = async () => {
    await wire.close()
    await service.stop()
  }
  onTestFinished(close)
  const said = async (what: RegExp): Promise<string> => {
    const line = (await readFile(path, 'utf8')).split('\n').find(one => what.test(one))
    return line === undefined ? `nothing like ${what}` : String((JSON.parse(line) as { msg?: unknown }).msg)
  }
  return { wire, close, said }
}

function numberOf(jobId: string): number {
  return Number(jobId.slice(jobId.indexOf('-') + 1))
}
