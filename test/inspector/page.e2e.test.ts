import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, describe, expect } from 'vitest'
import { connectNats } from '../../src/bus/nats.ts'
import { drawCharts } from '../../src/inspector/charts.ts'
import { type Gateway, startGateway } from '../../src/inspector/gateway.ts'
import { readPage, singleFile } from '../../src/inspector/pageFiles.ts'
import { startTail, type Tail } from '../../src/night/tail.ts'
import { toLine } from '../../src/journal/lines.ts'
import { openJournal } from '../../src/journal/log.ts'
import { startService } from '../../src/instance/start.ts'
import { type Gate, type Running, startInstance } from '../conformance/instance.ts'
import { must } from '../conformance/wire.ts'
import { cleanUpAfterAll, cleanUpAfterEach } from '../cleanUp.ts'
import { needs } from '../needs.ts'
import { openPage, startBrowser, type Watched } from './browser.ts'
import { justUrl } from '../../src/settings/connect.ts'

/*
 * The page in a real browser, over a real instance with real jobs: what an operator sees, and what the page asks of the
 * world (nothing).
 */

const test = needs('chromium')

// A browser that starts on a loaded two-core machine.
const SLOW_MS = 60_000

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
  'base64',
)

let running: Running
let tail: Tail
let gateway: Gateway
let browser: Browser
let context: BrowserContext
let open: Watched[] = []
let natsUrl: string
let place: string

const cleanUp = cleanUpAfterAll()
const cleanUpTest = cleanUpAfterEach()

beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), 'ocps-page-'))
  cleanUp(() => rmSync(place, { recursive: true, force: true }))
  const image = join(place, 'image.png')
  writeFileSync(image, PNG)
  browser = await startBrowser()
  cleanUp(() => browser.close())
  running = await startInstance(
    {},
    {
      picture: {
        description: 'for tests',
        scope: 'exposure',
        command: [
          '/bin/sh',
          '-c',
          `cp ${image} preview.png; echo '{"dataset":"preview","path":"preview.png","mime":"image/png"}' >&3; echo '{"metric":"psf.fwhm","value":2.8,"unit":"pix"}' >&3`,
        ],
        timeLimit: 60,
        grace: 1,
      },
    },
  )
  cleanUp(() => running.stop())
  natsUrl = running.service.natsUrl
  tail = startTail({ instance: 'LATISS', nats: () => justUrl(natsUrl) })
  cleanUp(() => tail.close())
  gateway = await startGateway({
    instance: 'LATISS',
    port: 0,
    host: '127.0.0.1',
    page: readPage(await drawCharts()),
    tail,
  })
  cleanUp(() => gateway.close())
}, SLOW_MS)

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1366, height: 850 } })
  cleanUpTest(() => context.close())
  open = []
})
afterEach(() => expect(open.flatMap(({ complaints }) => complaints)).toEqual([]))

/** `before`: runs in the page before its own script does. */
async function view(hash: string, url = gateway.url, before?: () => void): Promise<Page> {
  if (before) await context.addInitScript(before)
  const watched = await openPage(context, `${url}#/${hash}`)
  open.push(watched)
  return watched.page
}

let exposure = 0

async function submit(pipeline: string, more: object = {}): Promise<string> {
  const obsid = `AT_O_20261122_${String(++exposure).padStart(6, '0')}`
  const { jobIds } = await running.wire.command('processData', { dataId: { obsid }, pipeline, ...more })
  return must(jobIds[0])
}

const hold = (gate: Gate) => submit('hold', { overrides: { gate: gate.path } })

describe('the page, live', { timeout: SLOW_MS }, () => {
  test('shows the state, a running job while it runs, and that it ended, without being asked again', async () => {
    const page = await view('')
    await page.getByRole('banner').getByText('ENABLED').waitFor()
    await page.getByRole('banner').getByText('live').waitFor()
    const gate = running.place.gate()
    const jobId = await hold(gate)
    const row = page.getByRole('row').filter({ has: page.locator(`a[href*="${jobId}"]`) })
    await row.locator('.chip', { hasText: 'running' }).waitFor()
    gate.open()
    await row.waitFor({ state: 'detached' })
    await page.locator(`.timeline a.good[href*="${jobId}"]`).waitFor()
  })

  test('puts failures first, with the reason in one sentence, and leads to the job', async () => {
    const jobId = await submit('fail')
    const page = await view('')
    const concern = page.getByRole('region', { name: 'Needs attention' }).getByRole('listitem').first()
    await concern.getByText('the dome is closed').waitFor()
    await concern.getByRole('link').click()
    await page.getByRole('heading', { name: `job.${jobId}` }).waitFor()
    await page.locator('[data-state="job.settled"].is-active').waitFor()
    await page.locator('[data-edge].is-taken').first().waitFor({ state: 'attached' })
  })

  test("lights an actor's state while it changes, counts its timer down, and lists what it would hear", async () => {
    const gate = running.place.gate()
    const jobId = await hold(gate)
    const page = await view(`actor/job.${jobId}`)
    await page.locator('[data-state="job.active.running"].is-active').waitFor()
    await page
      .getByRole('region', { name: 'Timers' })
      .getByText(/in \d+ s/)
      .waitFor()
    await page.getByRole('region', { name: 'Would hear now' }).getByText('job.abort').waitFor()
    gate.open()
    await page.locator('[data-state="job.settled"].is-active').waitFor()
    await page.locator('[data-state="job.active.running"].is-active').waitFor({ state: 'detached' })
  })

  test('is drawn by a browser whose language is none, as in the C locale', async () => {
    const page = await view('', gateway.url, () =>
      Object.defineProperty(navigator, 'language', { value: 'en-US@posix', configurable: true }),
    )
    await page.getByRole('banner').getByText('ENABLED').waitFor()
  })

  test('draws a chart of every kind of machine', async () => {
    const page = await view('charts/csc')
    for (const kind of ['csc', 'queue', 'job', 'gather', 'reply', 'shelf', 'display']) {
      await page.goto(`${gateway.url}#/charts/${kind}`)
      await page.locator(`[role=region][aria-label="statechart of ${kind}"] svg`).waitFor()
    }
  })

  test('shows the image and the metric of a job, and the image large', async () => {
    const jobId = await submit('picture', { group: 'pictures' })
    const page = await view('images')
    const image = page.getByRole('region', { name: 'Group pictures' }).getByRole('img')
    await image.waitFor()
    expect(await image.evaluate((one: HTMLImageElement) => one.decode().then(() => one.naturalWidth))).toBe(1)
    await page.getByRole('button', { name: /^enlarge/ }).click()
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.goto(`${gateway.url}#/metrics`)
    await page.getByRole('group', { name: /psf.fwhm in pix: 1 values of picture, the last 2.8/ }).waitFor()
    await page.goto(`${gateway.url}#/actor/job.${jobId}`)
    await page.getByRole('link', { name: 'preview.png' }).waitFor()
  })

  test('travels to any earlier moment and back to the present', async () => {
    const gate = running.place.gate()
    const jobId = await hold(gate)
    const page = await view(`actor/job.${jobId}`)
    await page.locator('[data-state="job.active.running"].is-active').waitFor()
    gate.open()
    await page.locator('[data-state="job.settled"].is-active').waitFor()
    await page.getByRole('button', { name: 'one entry back' }).click()
    await page.locator('[data-state="job.active.running"].is-active').waitFor()
    await page.getByRole('banner').getByText('showing').waitFor()
    await page.getByRole('slider').fill('0')
    await page.getByText(`There is no job.${jobId} at this moment of the night`).waitFor()
    await page.getByRole('button', { name: 'Live', exact: true }).click()
    await page.locator('[data-state="job.settled"].is-active').waitFor()
    await page.getByRole('banner').getByText('live').waitFor()
  })

  test('can be used with the keyboard alone and names everything for a screen reader', async () => {
    const page = await view('')
    await page.getByRole('banner').getByText('ENABLED').waitFor()
    const nameless = await page
      .locator('button, a, input, select')
      .evaluateAll(all =>
        all.filter(one => !one.textContent?.trim() && !one.getAttribute('aria-label')).map(one => one.outerHTML),
      )
    expect(nameless).toEqual([])
    await page.getByRole('link', { name: 'Charts' }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('region', { name: 'statechart of csc' }).waitFor()
  })

  test('shows a recording that is dropped on it, and goes back to what is live when that is closed', async () => {
    await submit('fail')
    const page = await view('')
    await page.getByRole('banner').getByText('live').waitFor()
    await drop(page, await recorded(natsUrl))
    await page.getByRole('banner').locator('.chip', { hasText: 'recording' }).waitFor()
    await page.getByRole('button', { name: 'Close, back to live' }).click()
    await page.getByRole('banner').locator('.chip', { hasText: 'live' }).waitFor()
    const gate = running.place.gate()
    const jobId = await hold(gate)
    await page
      .getByRole('row')
      .filter({ has: page.locator(`a[href*="${jobId}"]`) })
      .waitFor()
    gate.open()
  })

  test('goes on with what it missed when its socket breaks, without hearing everything again', async () => {
    const page = await view('', gateway.url, () => {
      const Real = WebSocket
      const opened: WebSocket[] = []
      Object.assign(globalThis, {
        opened,
        WebSocket: class extends Real {
          constructor(url: string) {
            super(url)
            opened.push(this)
          }
        },
      })
    })
    await page.getByRole('banner').getByText('live').waitFor()
    const gate = running.place.gate()
    const jobId = await hold(gate)
    const row = page.getByRole('row').filter({ has: page.locator(`a[href*="${jobId}"]`) })
    await row.waitFor()
    const again = page.waitForEvent('websocket')
    await page.evaluate(() => (globalThis as unknown as { opened: WebSocket[] }).opened[0]?.close())
    expect((await again).url()).toMatch(/\/live\?of=[0-9a-f.]+&after=[1-9]/)
    await page.getByRole('banner').locator('.chip', { hasText: 'live' }).waitFor()
    await row.waitFor()
    gate.open()
    await row.waitFor({ state: 'detached' })
  })

  test('goes on when OCPS and its server are started again somewhere else, and says so in between', async () => {
    const page = await view('')
    await page.getByRole('banner').getByText('live').waitFor()
    await running.wire.close()
    await running.service.stop()
    await page
      .getByRole('banner')
      .getByText(/away|not running/)
      .waitFor()
    const again = await startService(running.options)
    try {
      natsUrl = again.natsUrl
      await page.getByRole('banner').getByText('live').waitFor()
      await page.getByRole('region', { name: 'Needs attention' }).getByText('the dome is closed').first().waitFor()
    } finally {
      await again.stop()
    }
    // The next instance is this test's own; the shared one has ended.
    running = { ...running, stop: async () => running.place.remove() }
  })
})

describe('the page, without a server', { timeout: SLOW_MS }, () => {
  test('one file shows a recorded night, and travels in it', async () => {
    const night = await startInstance()
    let lines: string
    try {
      const jobId = must(
        (await night.wire.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'fail' })).jobIds[0],
      )
      await night.wire.result(jobId)
      lines = await recorded(night.service.natsUrl)
    } finally {
      await night.stop()
    }
    const file = join(place, 'night.html')
    writeFileSync(file, singleFile({ page: readPage(await drawCharts()), instance: 'LATISS', lines }))
    const page = await view('', pathToFileURL(file).href)
    await page.getByRole('region', { name: 'Needs attention' }).getByText('the dome is closed').waitFor()
    await page.getByRole('slider').fill('0')
    await page.getByText('All is well').waitFor()

    await drop(page, lines)
  })
})

/** Drops a recording on the page, as from a file manager. */
async function drop(page: Page, lines: string): Promise<void> {
  const transfer = await page.evaluateHandle(text => {
    const data = new DataTransfer()
    data.items.add(new File([text], 'dropped.ndjson'))
    return data
  }, lines)
  await page.dispatchEvent('main', 'drop', { dataTransfer: transfer })
  await page.getByRole('region', { name: 'Needs attention' }).getByText('the dome is closed').first().waitFor()
  const broken = await page.evaluateHandle(() => {
    const data = new DataTransfer()
    data.items.add(new File(['not a recording'], 'poem.txt'))
    return data
  })
  await page.dispatchEvent('main', 'drop', { dataTransfer: broken })
  await page.getByRole('alert').getByText('poem.txt cannot be shown').waitFor()
}

async function recorded(url: string): Promise<string> {
  const bus = await connectNats({ url, name: 'test' })
  try {
    const { journal } = await openJournal({ bus, instance: 'LATISS' })
    const lines: string[] = []
    for await (const entry of journal.read('start')) lines.push(toLine(entry))
    return lines.join('\n')
  } finally {
    await bus.close()
  }
}
