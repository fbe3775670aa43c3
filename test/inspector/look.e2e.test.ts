import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { stringify } from 'yaml'
import { afterEach, beforeAll, beforeEach, describe, expect } from 'vitest'
import { drawCharts } from '../../src/inspector/charts.ts'
import { type Gateway, startGateway } from '../../src/inspector/gateway.ts'
import { readPage } from '../../src/inspector/pageFiles.ts'
import { startTail, type Tail } from '../../src/night/tail.ts'
import { type Service, startService } from '../../src/instance/start.ts'
import { makePlace, optionsFor, type Place } from '../conformance/instance.ts'
import { connectWire, must, type Wire } from '../conformance/wire.ts'
import { cleanUpAfterAll, cleanUpAfterEach } from '../cleanUp.ts'
import { needs } from '../needs.ts'
import { openPage, startBrowser, type Watched } from './browser.ts'
import { justUrl } from '../../src/settings/connect.ts'

/*
 * Images, focal plane and metrics in a real browser, over a real instance whose jobs make real images when they are
 * told to.
 */

const test = needs('chromium')

// A browser that starts on a loaded two-core machine.
const SLOW_MS = 60_000
// As long as a locator is waited for.
const PATIENCE_MS = 30_000

// Waits for its gate, leaves an image and a metric, and fails on detector 2.
const SCRIPT = `while [ ! -e "$0" ]; do sleep 0.02; done
cp "$1" preview.png
echo '{"dataset":"preview","path":"preview.png","mime":"image/png"}' >&3
echo "{\\"metric\\":\\"psf.fwhm\\",\\"value\\":$2,\\"unit\\":\\"arcsec\\"}" >&3
if [ "$OCPS_DETECTOR" = 2 ]; then echo "the amplifier is dead" >&2; exit 1; fi`

const text = { type: 'string', default: '' }
const look = (scope: 'exposure' | 'detector') => ({
  description: 'for tests',
  scope,
  command: ['/bin/sh', '-c', SCRIPT, '{override.gate}', '{override.image}', '{override.value}'],
  overrides: { gate: text, image: text, value: { type: 'number', default: 1 } },
  timeLimit: 60,
  grace: 1,
})

let place: Place
let service: Service
let wire: Wire
let tail: Tail
let gateway: Gateway
let browser: Browser
let context: BrowserContext
let open: Watched[] = []
let images: string

const cleanUp = cleanUpAfterAll()
const cleanUpTest = cleanUpAfterEach()

beforeAll(async () => {
  images = mkdtempSync(join(tmpdir(), 'ocps-look-'))
  cleanUp(() => rmSync(images, { recursive: true, force: true }))
  browser = await startBrowser()
  cleanUp(() => browser.close())
  place = makePlace({ look: look('exposure'), lookEach: look('detector') })
  cleanUp(() => place.remove())
  writeFileSync(
    join(place.configDir, 'display.yaml'),
    stringify({ display: [{ view: 'newest', dataset: 'preview', instrument: 'LATISS' }] }),
  )
  service = await startService(optionsFor(place, { configurationOverride: 'display.yaml' }))
  cleanUp(() => service.stop())
  wire = await connectWire(service.natsUrl, 'LATISS')
  cleanUp(() => wire.close())
  tail = startTail({ instance: 'LATISS', nats: () => justUrl(service.natsUrl) })
  cleanUp(() => tail.close())
  const page = readPage(await drawCharts())
  gateway = await startGateway({ instance: 'LATISS', port: 0, host: '127.0.0.1', page, tail })
  cleanUp(() => gateway.close())
}, SLOW_MS)

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  cleanUpTest(() => context.close())
  open = []
})
afterEach(() => expect(open.flatMap(({ complaints }) => complaints)).toEqual([]))

async function view(hash: string, within = context): Promise<Page> {
  const watched = await openPage(within, `${gateway.url}#/${hash}`)
  open.push(watched)
  return watched.page
}

const obsid = (seqNum: number) => `AT_O_20261122_${String(seqNum).padStart(6, '0')}`

/** A picture of one grey. */
function grey(level: number): string {
  const png = new PNG({ width: 8, height: 8, colorType: 0 })
  png.data.fill(level)
  const path = join(images, `${level}.png`)
  writeFileSync(path, PNG.sync.write(png))
  return path
}

async function submit(seqNum: number, { gate, value = 1, ...more }: { gate: string; value?: number; group?: string }) {
  const { jobIds } = await wire.command('processData', {
    dataId: { obsid: obsid(seqNum) },
    pipeline: 'look',
    overrides: { gate, value, image: grey(seqNum % 256) },
    ...more,
  })
  return must(jobIds[0])
}

describe('images', { timeout: SLOW_MS }, () => {
  test('a view shows the newest exposure, also when an older one is processed later', async () => {
    const [first, second] = [place.gate(), place.gate()]
    const older = await submit(17, { gate: first.path })
    const newer = await submit(18, { gate: second.path })
    const page = await view('images')
    const shown = page.locator('[data-view=newest]')
    await shown.getByText('nothing yet').waitFor()
    second.open()
    await shown.getByRole('img', { name: `newest: ${obsid(18)}` }).waitFor()
    first.open()
    await wire.result(older)
    // The page knows of the older one, and the view stays.
    await page.getByRole('img', { name: obsid(17), exact: true }).waitFor()
    await shown.getByRole('img', { name: `newest: ${obsid(18)}` }).waitFor()
    const width = await shown
      .getByRole('img')
      .evaluate((one: HTMLImageElement) => one.decode().then(() => one.naturalWidth))
    expect(width).toBe(8)
    expect((await wire.retained()).get('displayRequest.newest')).toMatchObject({
      view: 'newest',
      image: { jobId: newer, dataId: { obsid: obsid(18) }, path: 'preview.png' },
    })
  })

  test('the exposures of a group blink at the same place until B is pressed, and zoom stays', async () => {
    const gate = place.gate()
    gate.open()
    for (const seqNum of [21, 22]) await wire.result(await submit(seqNum, { gate: gate.path, group: 'blinks' }))
    const page = await view('images')
    await page.getByRole('button', { name: 'blink Group blinks' }).click()
    const dialog = page.getByRole('dialog')
    const visible = (seqNum: number) => dialog.locator(`img.shown[alt=${obsid(seqNum)}]`)
    for (const seqNum of [22, 21, 22]) await visible(seqNum).waitFor()
    const places = await dialog
      .locator('.stage img')
      .evaluateAll(all => all.map(one => JSON.stringify(one.getBoundingClientRect())))
    expect(places).toHaveLength(2)
    expect(new Set(places).size).toBe(1)
    await page.keyboard.press('b')
    await dialog.locator('button[aria-pressed=false]', { hasText: 'Blink' }).waitFor()
    await page.keyboard.press('+')
    await dialog.getByRole('button', { name: '2 ×' }).waitFor()
    await dialog.locator('.stage').hover()
    await page.mouse.wheel(0, -240)
    await dialog.getByRole('button', { name: '4 ×' }).waitFor()
    const before = await dialog.locator('img.shown').getAttribute('alt')
    await page.keyboard.press('ArrowRight')
    await dialog.locator(`img.shown:not([alt="${before}"])`).waitFor()
    await dialog.getByRole('button', { name: '4 ×' }).waitFor()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.getAttribute('aria-label')), { timeout: PATIENCE_MS })
      .toBe('blink Group blinks')
  })

  test('nothing moves by itself for who asked for reduced motion', async () => {
    const calm = await browser.newContext({ reducedMotion: 'reduce' })
    try {
      const page = await view('images', calm)
      await page.getByRole('button', { name: 'blink Group blinks' }).click()
      const dialog = page.getByRole('dialog')
      await dialog.locator(`img.shown[alt=${obsid(21)}]`).waitFor()
      expect(await dialog.getByRole('button', { name: 'Blink' }).count()).toBe(0)
      await page.keyboard.press('b')
      await dialog.locator(`img.shown[alt=${obsid(22)}]`).waitFor()
    } finally {
      await calm.close()
    }
  })
})

describe('the focal plane', { timeout: SLOW_MS }, () => {
  test("colours follow the jobs' states, or a metric, and each detector leads to its job", async () => {
    const gate = place.gate()
    const { jobIds } = await wire.command('processData', {
      dataId: { obsid: obsid(31), detector: [0, 1, 2, 3] },
      pipeline: 'lookEach',
      overrides: { gate: gate.path, value: 1.25, image: grey(31) },
    })
    const page = await view('focal')
    const detector = (n: number) => page.locator(`a[data-detector="${n}"]`)
    const toneOf = (n: number, tone: string) => page.locator(`a.${tone}[data-detector="${n}"]`)
    for (const n of [0, 1, 2, 3]) await toneOf(n, 'busy').waitFor()
    const colourOf = (n: number) =>
      detector(n)
        .locator('rect')
        .evaluate(one => getComputedStyle(one).fill)
    const running = await colourOf(0)
    gate.open()
    for (const n of [0, 1, 3]) await toneOf(n, 'good').waitFor()
    await toneOf(2, 'bad').waitFor()
    const [good, bad] = [await colourOf(0), await colourOf(2)]
    expect(new Set([running, good, bad]).size).toBe(3)
    await page.getByText('the amplifier is dead').waitFor()
    await page.getByLabel('colour by').selectOption('psf.fwhm')
    await page.getByRole('link', { name: 'detector 0: 1.25 arcsec' }).waitFor()
    await page.getByRole('group', { name: `4 detectors of ${obsid(31)}: psf.fwhm of 4, median 1.25 arcsec` }).waitFor()
    await detector(3).click()
    await page.getByRole('heading', { name: `job.${must(jobIds[3])}` }).waitFor()
  })
})

describe('metrics', { timeout: SLOW_MS }, () => {
  test('what is out of the ordinary leads to its job and to its image', async () => {
    const gate = place.gate()
    gate.open()
    let odd = ''
    for (const [at, value] of [1.1, 1.2, 1.15, 1.25, 1.18, 1.22, 1.13, 1.19, 1.21, 4.2].entries()) {
      const jobId = await submit(41 + at, { gate: gate.path, value })
      await wire.result(jobId)
      if (value === 4.2) odd = jobId
    }
    const page = await view('metrics')
    const plot = page.getByRole('group', { name: /^psf.fwhm in arcsec: / })
    await plot.waitFor()
    const link = plot.getByRole('link', { name: `out of the ordinary: ${obsid(50)}, 4.2` })
    await link.click()
    await page.getByRole('heading', { name: `job.${odd}` }).waitFor()
    await page.getByRole('img', { name: `preview of job ${odd}` }).waitFor()

    await page.goBack()
    await page.getByRole('button', { name: 'Sequence number' }).click()
    await page.getByText('over the sequence numbers of the observing day 20261122').waitFor()
    await page.getByRole('link', { name: `image of ${obsid(50)}` }).click()
    await page
      .getByRole('dialog')
      .locator(`img.shown[alt=${obsid(50)}]`)
      .waitFor()
  })
})
