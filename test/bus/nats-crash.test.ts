import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from '../../src/bus/embedded.ts'
import { connectNats } from '../../src/bus/nats.ts'
import { shownUrl } from '../../src/bus/serverUrl.ts'
import type { Bus } from '../../src/bus/port.ts'
import { findServer } from '../../src/bus/server-binary.ts'
import { isAlivePid } from '../../src/processes.ts'
import { cleanUpAfterEach } from '../cleanUp.ts'
import { collect, flush, text } from './messages.ts'
import { eventually, rejection } from './eventually.ts'

let storeDir: string
let server: EmbeddedServer
const buses: Bus[] = []

const cleanUp = cleanUpAfterEach()

beforeEach(async () => {
  const made = (storeDir = await mkdtemp(join(tmpdir(), 'ocps-crash-')))
  cleanUp(() => rm(made, { recursive: true }))
  const started = (server = await startEmbeddedServer({ storeDir }))
  cleanUp(() => started.stop())
  cleanUp(() => Promise.all(buses.splice(0).map(bus => bus.close())))
})

async function connect(): Promise<Bus> {
  const bus = await connectNats({ url: server.url, name: 'test' })
  buses.push(bus)
  return bus
}

/** Kills the server and waits until this connection is back. */
async function crash(bus: Bus): Promise<void> {
  await eventually('the server runs', () => isAlivePid(server.pid))
  const seen: string[] = []
  bus.onStatus(status => seen.push(status))
  process.kill(server.pid, 'SIGKILL')
  await eventually(
    'the connection went and came back',
    () => seen.at(-1) === 'connected' && seen.includes('disconnected'),
  )
}

describe('when the server is killed under load', () => {
  it('every confirmed append is there afterwards, in one unbroken chain, each once', { timeout: 120_000 }, async () => {
    const bus = await connect()
    const log = await bus.log({ name: 'L', subject: 'journal' })
    const confirmed: string[] = []
    const appending: Promise<void>[] = []
    let n = 0
    const load = { on: true }
    const writer = (async () => {
      while (load.on) {
        n += 1
        const id = `a:${n}`
        appending.push(
          log.append({ body: id, id, after: n === 1 ? '' : `a:${n - 1}` }).then(() => void confirmed.push(id)),
        )
        // Sixty in flight at most.
        if (n > 60) await appending[n - 60]
      }
    })()
    for (let round = 1; round <= 4; round += 1) {
      await eventually('the writer is well under way', () => confirmed.length > round * 300)
      await crash(bus)
    }
    load.on = false
    await writer
    await Promise.all(appending)
    const stored = (await collect(log.read())).map(({ id }) => id)
    expect(confirmed).toEqual(stored)
    expect(stored).toEqual(Array.from({ length: n }, (_, index) => `a:${index + 1}`))
  })

  it('everything published to a retained stream is kept, though nobody waited', { timeout: 120_000 }, async () => {
    const bus = await connect()
    const retained = await bus.retained({ name: 'R', subjects: ['evt.>'], maxAgeMs: 3_600_000 })
    const heard = new Set<string>()
    const listener = await connect()
    listener.subscribe('evt.>', message => heard.add(text(message)))
    let count = 3000
    for (let n = 0; n < count; n += 1) {
      retained.publish({ subject: `evt.${n}`, body: `${n}`, id: `a:${n}` })
      if (n % 1000 === 500) await crash(bus)
    }
    await retained.flushed()
    expect(await retained.lastId()).toBe(`a:${count - 1}`)
    const kept = await Promise.all(Array.from({ length: count }, async (_, n) => await retained.last(`evt.${n}`)))
    expect(kept).toEqual(Array.from({ length: count }, (_, n) => `${n}`))
    // Who listened may have been away for all of it; back on the line, it hears what comes.
    await eventually('the listener hears again', async () => {
      retained.publish({ subject: 'evt.last', body: 'last', id: `a:${(count += 1)}` })
      await retained.flushed()
      return heard.has('last')
    })
  })

  it('what is published while it is away waits, and goes out in order', async () => {
    const [bus, listener] = [await connect(), await connect()]
    const retained = await bus.retained({ name: 'R', subjects: ['evt.>'], maxAgeMs: 3_600_000 })
    const heard: string[] = []
    listener.subscribe('evt.>', message => heard.push(text(message)))
    await flush(listener)
    let away = false
    bus.onStatus(status => {
      away = status === 'disconnected'
    })
    process.kill(server.pid, 'SIGKILL')
    await eventually('the connection is gone', () => away)
    for (let n = 0; n < 500; n += 1) retained.publish({ subject: 'evt.a', body: `${n}`, id: `a:${n}` })
    await retained.flushed()
    expect(await retained.last('evt.a')).toBe('499')
    await eventually('the listener is back too', async () => {
      retained.publish({ subject: 'evt.b', body: 'hello', id: `b:${performance.now()}` })
      await retained.flushed()
      return heard.includes('hello')
    })
    const numbers = heard.filter(body => body !== 'hello').map(Number)
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
  })

  it('subscriptions resume by themselves, and a question meanwhile says that the connection is down', async () => {
    const [client, service] = [await connect(), await connect()]
    service.subscribe('ask', ({ reply }) => reply !== null && service.publish(reply, 'here'))
    await flush(service)
    expect(text(await client.request('ask', '', { timeoutMs: 2000 }))).toBe('here')
    let away = false
    client.onStatus(status => {
      away = status === 'disconnected'
    })
    process.kill(server.pid, 'SIGKILL')
    await eventually('the connection is gone', () => away)
    expect(await rejection(client.request('ask', '', { timeoutMs: 20 }))).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining(`The connection to ${shownUrl(server.url)} is down`),
    })
    await eventually('the service answers again', async () => {
      const answer = await client.request('ask', '', { timeoutMs: 1000 }).catch(() => null)
      return answer !== null && text(answer) === 'here'
    })
  })

  it('a lease is not given away by a short absence', async () => {
    const [bus, other] = [await connect(), await connect()]
    let lost = 0
    const options = { name: 'LEASE', holder: 'summit-1', ttlMs: 3000, onLost: () => (lost += 1) }
    await bus.lease(options)
    await crash(bus)
    const until = performance.now() + options.ttlMs
    await eventually('a lease time has passed and it was held throughout', async () => {
      const tried = await other.lease({ ...options, holder: 'summit-2' }).catch(() => null)
      if (tried !== null) expect(tried).toEqual({ held: false, holder: 'summit-1' })
      return performance.now() > until
    })
    expect(lost).toBe(0)
  })
})

describe('a server that is not what is needed', () => {
  it('that nobody runs is named, with what to do', async () => {
    const url = `nats://127.0.0.1:${await freePort()}`
    expect(await rejection(connectNats({ url, name: 'test' }))).toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(new RegExp(`No NATS server answers at ${url}.*NATS_URL`)),
    })
    expect(await rejection(connectNats({ url: 'http://x', name: 'test' }))).toMatchObject({ code: 'UNREACHABLE' })
  })

  it('with JetStream off is refused with the way out, and wrong credentials are called wrong credentials', async () => {
    const { path } = await findServer()
    const port = await freePort()
    const child = spawn(path, ['-a', '127.0.0.1', '-p', String(port), '--user', 'ocps', '--pass', 'right'], {
      stdio: 'ignore',
    })
    try {
      const credentials = { user: 'ocps', password: 'right' }
      const bus = await connectNats({ url: `nats://127.0.0.1:${port}`, name: 'test', credentials, waitForServer: true })
      buses.push(bus)
      expect(await rejection(bus.log({ name: 'L', subject: 'journal' }))).toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringContaining('JetStream off'),
      })
      const wrong = await rejection(connectNats({ url: `nats://ocps:wrong@127.0.0.1:${port}`, name: 'test' }))
      expect(wrong).toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining('refused the credentials') })
      expect(String(wrong)).not.toContain('wrong@')
      await bus.close()
    } finally {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    }
  })

  it('with no space left refuses an append by code, writes nothing of it, and can still be read', async () => {
    const { path } = await findServer()
    const port = await freePort()
    const folder = await mkdtemp(join(tmpdir(), 'ocps-small-'))
    const configuration = join(folder, 'nats.conf')
    await writeFile(
      configuration,
      `host: 127.0.0.1\nport: ${port}\njetstream { store_dir: "${folder}/store", max_file_store: 1MB }\n`,
    )
    const child = spawn(path, ['-c', configuration], { stdio: 'ignore' })
    try {
      const bus = await connectNats({ url: `nats://127.0.0.1:${port}`, name: 'test', waitForServer: true })
      buses.push(bus)
      const log = await bus.log({ name: 'L', subject: 'journal' })
      const results: unknown[] = []
      for (let n = 1; n <= 20; n += 1) {
        const after = n === 1 ? '' : `a:${n - 1}`
        results.push(await rejection(log.append({ body: 'x'.repeat(100_000), id: `a:${n}`, after })))
      }
      const stored = (await collect(log.read())).length
      expect(stored).toBeGreaterThan(5)
      expect(results.slice(0, stored)).toEqual(Array.from({ length: stored }, () => 'it did not reject'))
      expect(results[stored]).toMatchObject({ code: 'FULL', message: expect.stringContaining('nothing was written') })
      await bus.close()
    } finally {
      const ended = once(child, 'exit')
      child.kill()
      await ended
      await rm(folder, { recursive: true })
    }
  })

  it('whose stream was removed tells the log writer to stop', async () => {
    const [bus, other] = [await connect(), await connect()]
    const log = await bus.log({ name: 'L', subject: 'journal' })
    await log.append({ body: '', id: 'a:1', after: '' })
    await other.request('$JS.API.STREAM.DELETE.L', '', { timeoutMs: 2000 })
    expect(await rejection(log.append({ body: '', id: 'a:2', after: 'a:1' }))).toMatchObject({
      code: 'BROKEN',
      message: expect.stringContaining('is gone'),
    })
  })

  it('whose lease was removed makes it again, and counts that somebody else may have had it', async () => {
    const [bus, other] = [await connect(), await connect()]
    let lost = 0
    const lease = await bus.lease({ name: 'LEASE', holder: 'summit-1', ttlMs: 600, onLost: () => (lost += 1) })
    if (!lease.held) throw new Error('nobody else has it')
    await other.request('$JS.API.STREAM.DELETE.KV_LEASE', '', { timeoutMs: 2000 })
    await eventually('it is held again', () => lease.lapses() === 1 && lease.isSure())
    expect(await other.lease({ name: 'LEASE', holder: 'summit-2', ttlMs: 600, onLost: () => {} })).toEqual({
      held: false,
      holder: 'summit-1',
    })
    expect(lost).toBe(0)
  })

  it('whose retained stream was removed gets a new one, and what was not confirmed', async () => {
    const [bus, other] = [await connect(), await connect()]
    const retained = await bus.retained({ name: 'R', subjects: ['evt.>'], maxAgeMs: 3_600_000 })
    await other.request('$JS.API.STREAM.DELETE.R', '', { timeoutMs: 2000 })
    for (let n = 0; n < 10; n += 1) retained.publish({ subject: `evt.${n}`, body: `${n}`, id: `a:${n}` })
    await retained.flushed()
    expect(await retained.last('evt.3')).toBe('3')
  })

  it('is not believed in the voice of someone who merely listens', async () => {
    const [bus, meddler] = [await connect(), await connect()]
    const log = await bus.log({ name: 'L', subject: 'journal' })
    meddler.subscribe('journal', ({ reply }) => {
      for (const lie of ['{"error":', '{"stream":"M","seq":7}', 'ok', '{}'])
        if (reply !== null) meddler.publish(reply, lie)
    })
    await flush(meddler)
    for (let n = 1; n <= 100; n += 1) await log.append({ body: '', id: `a:${n}`, after: n === 1 ? '' : `a:${n - 1}` })
    expect(await collect(log.read())).toHaveLength(100)
  })

  it('with another stream on the same subjects is refused by name', async () => {
    const bus = await connect()
    await bus.log({ name: 'L', subject: 'journal' })
    expect(await rejection(bus.log({ name: 'M', subject: 'journal' }))).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('stream M'),
    })
  })
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
