import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { StatelyInspectionEvent } from '@statelyai/inspect'
import type { Browser, BrowserContext, Frame, Page } from 'playwright-core'
import { build } from 'vite'
import { beforeAll, beforeEach, describe, expect } from 'vitest'
import { WebSocket } from 'ws'
import { machines, type MachineKind } from '../../machines/index.ts'
import { type Gateway, startGateway } from '../../src/inspector/gateway.ts'
import { createFold } from '../../src/inspector/stately/fold.ts'
import { eventMessage, actorMessage, type Shown, snapshotMessage } from '../../src/inspector/stately/messages.ts'
import type { Kept } from '../../src/night/keeping.ts'
import type { Tail } from '../../src/night/tail.ts'
import { eventually } from '../bus/eventually.ts'
import { createNight, type Night } from '../night.ts'
import { cleanUpAfterAll, cleanUpAfterEach } from '../cleanUp.ts'
import { needs } from '../needs.ts'
import { openPage, startBrowser } from './browser.ts'

/*
 * A viewer of another origin with the package's own receiver, in a real browser, behind the bridge page of a real
 * gateway, over a night in memory.
 */

const test = needs('chromium')

// A browser that starts on a loaded two-core machine.
const SLOW_MS = 60_000

let browser: Browser
let context: BrowserContext
let elsewhere: Server
let viewerUrl: string
let gateway: Gateway
let night: Night
let lines: Kept[]

const cleanUp = cleanUpAfterAll()
const cleanUpTest = cleanUpAfterEach()

beforeAll(async () => {
  browser = await startBrowser()
  cleanUp(() => browser.close())
  const script = await bundled()
  elsewhere = createServer((request, response) => {
    const isScript = request.url === '/viewer.js'
    response
      .writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' })
      .end(
        isScript
          ? script
          : '<!doctype html><title>viewer</title><link rel="icon" href="data:,"><script type="module" src="/viewer.js"></script>',
      )
  }).listen(0, '127.0.0.1')
  cleanUp(() => {
    elsewhere.closeAllConnections()
    elsewhere.close()
  })
  await once(elsewhere, 'listening')
  viewerUrl = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/viewer`
}, SLOW_MS)

beforeEach(async () => {
  context = await browser.newContext()
  cleanUpTest(() => context.close())
  night = await createNight()
  await night.enable()
  lines = []
  const tail: Tail = {
    lines,
    generation: 1,
    caughtUp: true,
    status: { link: 'connected', problem: '', heartbeatAt: null, facts: null },
    close: async () => {},
  }
  gateway = await startGateway({ instance: 'LATISS', port: 0, host: '127.0.0.1', page: { files: new Map() }, tail })
  cleanUpTest(() => gateway.close())
})

async function bundled(): Promise<string> {
  const input = fileURLToPath(new URL('./statelyViewer.ts', import.meta.url))
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, rolldownOptions: { input, output: { codeSplitting: false } } },
  })
  const [first] = Array.isArray(built) ? built : [built]
  if (!first || !('output' in first)) throw new Error('Vite built nothing')
  return first.output[0].code
}

/** What the night wrote so far comes to the gateway's ears. */
function grow(): void {
  for (const entry of night.entries().slice(lines.at(-1)?.n ?? 0))
    lines.push({ n: entry.n, line: JSON.stringify(entry), isQuiescent: entry.what.type === 'engine.quiescent' })
}

async function process(obsid: string): Promise<string> {
  const ack = await night.command('processData', { dataId: { obsid }, pipeline: 'quicklook' })
  return ack?.jobIds[0] ?? ''
}

/** Exposures one after the other, each with its metrics; two of them are left as they are. */
async function severalHundredSteps(): Promise<string[]> {
  for (let index = 0; index < 40; index++) {
    const jobId = await process(`AT_O_20261122_${String(index).padStart(6, '0')}`)
    await night.started(jobId)
    for (let metric = 0; metric < 5; metric++) await night.metric(jobId, `m${metric}`, metric)
    await night.exited(jobId)
  }
  const running = await process('AT_O_20261122_000100')
  await night.started(running)
  const queued = await process('AT_O_20261122_000101')
  grow()
  expect(lines.length).toBeGreaterThan(300)
  return [running, queued]
}

interface Bridged {
  readonly page: Page
  readonly complaints: () => string[]
}

async function bridge(query = ''): Promise<Bridged> {
  const watched = await openPage(context, `${gateway.url}stately?to=${encodeURIComponent(viewerUrl)}${query}`)
  const complaints = () =>
    watched.complaints.filter(text => !text.startsWith(`asked ${new URL(viewerUrl).origin}/viewer`))
  return { page: watched.page, complaints }
}

async function shownHere(page: Page): Promise<Frame> {
  await page.getByRole('button', { name: 'Show it here' }).click()
  await page.getByRole('status').filter({ hasText: 'attached to LATISS' }).waitFor()
  const frame = page.frame({ url: viewerUrl })
  if (!frame) throw new Error('the viewer is not framed')
  return frame
}

const heardIn = (frame: Frame | Page): Promise<StatelyInspectionEvent[]> => frame.evaluate(() => window.heard)

async function heardAtLeast(frame: Frame | Page, count: number): Promise<StatelyInspectionEvent[]> {
  // A window that is still loading has heard nothing yet.
  await frame.waitForFunction(n => 'heard' in window && window.heard.length >= n, count)
  return heardIn(frame)
}

function stepsAfter(n: number): Shown[] {
  const steps: Shown[] = []
  const fold = createFold('LATISS', shown => steps.push(shown))
  for (const entry of night.entries()) fold.apply(entry)
  return steps.filter(shown => shown.n > n)
}

function liveNow(): Map<string, unknown> {
  const { world } = night.engine()
  const kinds = Object.keys(machines) as MachineKind[]
  return new Map(
    kinds.flatMap(kind => [...world.actors(kind)].map(({ address, snapshot }) => [address, snapshot.value] as const)),
  )
}

describe("a page with the package's own receiver", { timeout: SLOW_MS }, () => {
  test('that comes after several hundred events gets every live actor as it is now, then every event in order', async () => {
    const [running = '', queued = ''] = await severalHundredSteps()
    const { page, complaints } = await bridge()
    expect(await page.locator('iframe').count()).toBe(0)
    const frame = await shownHere(page)
    const live = liveNow()
    expect([...live.keys()]).toEqual(expect.arrayContaining(['csc', 'queue', `job.${running}`, `job.${queued}`]))
    const first = await heardAtLeast(frame, live.size)
    expect(first.map(({ type }) => type)).toEqual(Array(live.size).fill('@xstate.actor'))
    const told = first.map(
      message =>
        [
          message.sessionId,
          'snapshot' in message && 'value' in message.snapshot ? message.snapshot.value : null,
        ] as const,
    )
    expect(new Map(told)).toEqual(live)
    for (const message of first) {
      const { id } = JSON.parse('definition' in message ? (message.definition ?? '') : '') as { id: string }
      expect(message.sessionId.startsWith(id)).toBe(true)
    }

    const from = night.entries().length
    await night.started(queued)
    await night.exited(running, { exitCode: 1, stderrTail: 'no stars' })
    await night.succeeds(await process('AT_O_20261122_000102'))
    await night.command('pause')
    grow()
    const expected = stepsAfter(from).flatMap(shown => [
      ...(shown.isFirst ? [actorMessage('LATISS', shown)] : []),
      eventMessage(shown),
      snapshotMessage(shown),
    ])
    const heard = (await heardAtLeast(frame, first.length + expected.length)).slice(first.length)
    expect(heard).toEqual(JSON.parse(JSON.stringify(expected)))
    const last = heard.findLast(({ sessionId, type }) => sessionId === `job.${running}` && type === '@xstate.snapshot')
    expect(last).toMatchObject({ snapshot: { status: 'done', output: { outcome: { kind: 'failed' } } } })
    expect(complaints()).toEqual([])
  })

  test('gets text from pipelines as text, and nothing in it runs anywhere', async () => {
    const evil = '<img src=x onerror="top.document.title=`taken`"><script>top.document.title="taken"</script>'
    const jobId = await process('AT_O_20261122_000001')
    await night.started(jobId)
    await night.metric(jobId, evil, 1, evil)
    grow()
    const { page, complaints } = await bridge()
    const frame = await shownHere(page)
    const heard = await heardAtLeast(frame, liveNow().size)
    const job = heard.find(({ sessionId }) => sessionId === `job.${jobId}`)
    expect(job).toMatchObject({ snapshot: { context: { metrics: [{ metric: evil, value: 1, unit: evil }] } } })
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.title()).not.toContain('taken')
    expect(complaints()).toEqual([])
  })

  test('that is loaded again, or opened as a window of its own, gets every actor again', async () => {
    const jobId = await process('AT_O_20261122_000001')
    grow()
    const { page, complaints } = await bridge(`&actor=job.${jobId}&kind=csc`)
    const frame = await shownHere(page)
    expect((await heardAtLeast(frame, 2)).map(({ sessionId }) => sessionId)).toEqual(['csc', `job.${jobId}`])
    await frame.evaluate(() => {
      window.heard = []
      location.reload()
    })
    await page.getByRole('status').filter({ hasText: 'attached to LATISS: 2 live actors' }).waitFor()
    await eventually('the frame has heard them again', async () => {
      const again = page.frame({ url: viewerUrl })
      return again?.evaluate(() => 'heard' in window && window.heard.length === 2).catch(() => false) ?? false
    })

    const [popup] = await Promise.all([
      context.waitForEvent('page'),
      page.getByRole('button', { name: 'Show it in a window of its own' }).click(),
    ])
    expect((await heardAtLeast(popup, 2)).map(({ sessionId }) => sessionId)).toEqual(['csc', `job.${jobId}`])
    await night.started(jobId)
    grow()
    expect((await heardAtLeast(popup, 4)).slice(2).map(({ type }) => type)).toEqual([
      '@xstate.event',
      '@xstate.snapshot',
    ])
    expect(complaints()).toEqual([])
  })

  test('is the only thing the bridge page may frame', async () => {
    const { page } = await bridge()
    const refused = await page.evaluate(
      to =>
        new Promise<string>(resolve => {
          document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => resolve(effectiveDirective))
          const frame = document.createElement('iframe')
          frame.src = to
          document.body.append(frame)
        }),
      viewerUrl.replace('/viewer', '/another'),
    )
    expect(refused).toBe('frame-src')
  })
})

describe('the socket', () => {
  const url = (query = '') => `ws://127.0.0.1:${gateway.port}/stately/ws${query}`
  const own = () => ({ origin: `http://127.0.0.1:${gateway.port}` })

  test('opens to pages of the gateway itself only, by its own name', async () => {
    for (const headers of [
      { origin: new URL(viewerUrl).origin },
      {},
      { ...own(), headers: { host: 'evil.example' } },
    ]) {
      const [error] = (await once(new WebSocket(url(), headers), 'error')) as [Error]
      expect(error.message).toMatch(/403|421/)
    }
  })

  test('hears nothing: whatever a viewer sends changes neither what it gets nor the night', async () => {
    grow()
    const socket = new WebSocket(url('?kind=csc'), own())
    const heard: string[] = []
    socket.on('message', data => heard.push((data as Buffer).toString()))
    await eventually('it is attached', () => heard.length === 2)
    socket.send('{"type":"@xstate.event","sessionId":"csc","event":{"type":"command.disable"}}')
    socket.send('not even JSON')
    await night.command('setLogLevel', { level: 10 })
    grow()
    await eventually('it goes on', () => heard.length === 4)
    expect(heard.slice(2).map(text => (JSON.parse(text) as { event: { type: string } }).event.type)).toEqual([
      'command.setLogLevel',
      'command.setLogLevel',
    ])
    expect(night.state('csc')).toBe('enabled')
    socket.close()
  })

  test('sends a viewer that stops reading the newest of each actor once it reads again, and does not wait for it', async () => {
    const jobId = await process('AT_O_20261122_000001')
    await night.started(jobId)
    for (let index = 0; index < 1_000; index++) await night.metric(jobId, `metric ${index}`, index, 'x'.repeat(100))
    grow()
    const socket = new WebSocket(url('?kind=job'), own())
    const heard: { type: string; snapshot?: { status: string }; conflated?: number }[] = []
    socket.on('message', data => heard.push(JSON.parse((data as Buffer).toString()) as (typeof heard)[number]))
    await eventually('it is attached', () => heard.length === 2)
    socket.pause()
    // More than the system's buffers, ours and the bound of steps hold together.
    for (let index = 0; index < 2_500; index++) await night.metric(jobId, 'more', index)
    await night.exited(jobId)
    grow()
    const last = night.entries().length
    const witness = new WebSocket(url('?kind=csc'), own())
    const [greeting] = (await once(witness, 'message')) as [Buffer]
    expect(JSON.parse(greeting.toString())).toMatchObject({ type: '@ocps.attached', entry: last })
    socket.resume()
    await eventually('it is told how the job ended', () => heard.at(-1)?.snapshot?.status === 'done')
    const conflated = heard.at(-1)?.conflated ?? 0
    expect(conflated).toBeGreaterThan(1_000)
    // Every step was sent, or counted as left out.
    expect(heard.filter(({ type }) => type === '@xstate.snapshot').length + conflated).toBe(2_501)
    for (const one of [socket, witness]) one.close()
  })
})
