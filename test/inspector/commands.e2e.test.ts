import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, describe, expect } from 'vitest'
import { drawCharts } from '../../src/inspector/charts.ts'
import { createCommands } from '../../src/inspector/commands.ts'
import { type Gateway, startGateway } from '../../src/inspector/gateway.ts'
import { readPage } from '../../src/inspector/pageFiles.ts'
import { startTail, type Tail } from '../../src/night/tail.ts'
import { type Running, startInstance } from '../conformance/instance.ts'
import { must } from '../conformance/wire.ts'
import { cleanUpAfterAll, cleanUpAfterEach } from '../cleanUp.ts'
import { needs } from '../needs.ts'
import { openPage, startBrowser, type Watched } from './browser.ts'
import { justUrl } from '../../src/settings/connect.ts'

/*
 * An operator's hands on the page: buttons, the question before each command, and what the instance and the journal
 * make of it.
 */

const test = needs('chromium')

// A browser that starts on a loaded two-core machine.
const SLOW_MS = 60_000
// As long as a locator is waited for.
const PATIENCE_MS = 30_000
const TOKEN = 'correct-horse-battery'

let running: Running
let tail: Tail
/** One that carries commands, one that does not, one that asks for a token. */
let gateway: Gateway
let showing: Gateway
let guarded: Gateway
let browser: Browser
let context: BrowserContext
let open: Watched[] = []

const cleanUp = cleanUpAfterAll()
const cleanUpTest = cleanUpAfterEach()

beforeAll(async () => {
  browser = await startBrowser()
  cleanUp(() => browser.close())
  running = await startInstance()
  cleanUp(() => running.stop())
  const nats = () => justUrl(running.service.natsUrl)
  tail = startTail({ instance: 'LATISS', nats })
  cleanUp(() => tail.close())
  const commands = createCommands({ instance: 'LATISS', nats })
  const options = { instance: 'LATISS', port: 0, host: '127.0.0.1', page: readPage(await drawCharts()), tail }
  gateway = await startGateway({ ...options, commands })
  cleanUp(() => gateway.close())
  showing = await startGateway(options)
  cleanUp(() => showing.close())
  guarded = await startGateway({ ...options, commands, token: TOKEN })
  cleanUp(() => guarded.close())
}, SLOW_MS)

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1366, height: 850 } })
  cleanUpTest(() => context.close())
  open = []
})
afterEach(() => expect(open.flatMap(({ complaints }) => complaints)).toEqual([]))

async function view(hash: string, url = gateway.url): Promise<Page> {
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

/** Enter means the question only once that is there. */
async function answerYes(page: Page, button: string): Promise<void> {
  await page.getByRole('banner').getByRole('button', { name: button }).click()
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Enter')
}

describe('commands from the page', { timeout: SLOW_MS }, () => {
  test('a running job is aborted after a question that names what is sent, and the journal says by whom', async () => {
    const jobId = await submit('endless')
    const page = await view(`actor/job.${jobId}`)
    await page.getByRole('button', { name: 'Abort job' }).click()
    const dialog = page.getByRole('dialog', { name: `Abort job ${jobId}` })
    await dialog.getByLabel('your name').fill('vera')
    await dialog.getByText('sent to LATISS as vera@inspector').waitFor()
    await dialog.getByText(`abortJob {"jobId":"${jobId}"}`).waitFor()
    await dialog.getByRole('button', { name: 'Abort job' }).click()
    await dialog.getByRole('status').getByText('abortJob is done.').waitFor()
    await dialog.getByRole('button', { name: 'Close' }).click()
    await dialog.waitFor({ state: 'detached' })
    await page.locator('.actor-head .chip', { hasText: 'aborted' }).waitFor()
    expect(await running.wire.result(jobId)).toMatchObject({ outcome: { kind: 'aborted' } })
    await page.goto(`${gateway.url}#/journal`)
    await page.getByText(`vera@inspector asks abortJob: jobId ${jobId}`).waitFor()
  })

  test('Escape sends nothing and gives the focus back; Enter sends, and Enter again closes', async () => {
    const page = await view('')
    const pause = page.getByRole('banner').getByRole('button', { name: 'Pause' })
    await pause.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Start no more jobs?' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await expect
      .poll(() => pause.evaluate(button => button === document.activeElement), { timeout: PATIENCE_MS })
      .toBe(true)
    expect(await running.wire.query('state')).toMatchObject({ queue: { state: 'flowing' } })

    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.keyboard.press('Enter')
    await page.getByRole('status').getByText('pause is done.').waitFor()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await answerYes(page, 'Resume')
    await page.getByText('resume is done.').waitFor()
    await page.keyboard.press('Escape')
    await pause.waitFor()
  })

  test('what lies on the shelf is said with its reason, and run again', async () => {
    const jobId = await submit('fail')
    await running.wire.result(jobId)
    const page = await view('shelf')
    const row = page.getByRole('region', { name: 'On the shelf' }).getByRole('row').filter({ hasText: jobId })
    await row.getByText(/the dome is closed/).waitFor()
    await row.getByText('this one').waitFor()
    await row.getByRole('button', { name: 'Retry' }).click()
    await page.getByText(`retry {"jobId":"${jobId}"}`).waitFor()
    await page.keyboard.press('Enter')
    const said = await page.getByRole('status').textContent()
    const again = must(/job (\S+)\./.exec(said ?? '')?.[1])
    await page.keyboard.press('Enter')
    const second = page.getByRole('region', { name: 'On the shelf' }).getByRole('row').filter({ hasText: again })
    await second.getByRole('link', { name: jobId, exact: true }).waitFor()
    const become = page.getByRole('region', { name: 'Retried' }).getByRole('row').filter({ hasText: again })
    await become.locator('.chip', { hasText: 'failed' }).waitFor()
  })

  test('a group is closed with the pipeline and the policy that were chosen', async () => {
    const jobId = await submit('true', { group: 'tonight#1' })
    await running.wire.result(jobId)
    const page = await view(`actor/${encodeURIComponent('gather.tonight=231')}`)
    await page.getByRole('button', { name: 'Close group' }).click()
    const dialog = page.getByRole('dialog', { name: 'Close group tonight#1' })
    await dialog.getByLabel('combined by').selectOption('stack')
    await dialog.getByLabel('if members fail').selectOption('skip')
    await dialog.getByText('closeGroup {"group":"tonight#1","pipeline":"stack","policy":"skip"}').waitFor()
    await dialog.getByRole('button', { name: 'Close group' }).click()
    await dialog.getByText('closeGroup is done').waitFor()
    await dialog.getByRole('button', { name: 'Close', exact: true }).click()
    await page.locator('.actor-head .chip', { hasText: 'gathered' }).waitFor()
  })

  test('the state is led by its own commands, and a refusal is shown in the sentence of the instance', async () => {
    const page = await view('')
    const other = await view('')
    for (const one of [page, other]) {
      await one.bringToFront()
      await one.getByRole('banner').getByRole('button', { name: 'Disable' }).click()
    }
    await page.bringToFront()
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
    await page.getByText('disable is done.').waitFor()
    // Somebody else was quicker.
    await other.bringToFront()
    await other.getByRole('dialog').getByRole('button', { name: 'Disable' }).click()
    await other.getByText(/disable was refused \(WRONG_STATE\): .*DISABLED/).waitFor()
    await other.close()
    await page.getByRole('button', { name: 'Close', exact: true }).click()
    await page.getByRole('banner').getByText('DISABLED').waitFor()
    await answerYes(page, 'Standby')
    await page.getByText('standby is done.').waitFor()
    await page.keyboard.press('Enter')
    await page.getByRole('banner').getByRole('button', { name: 'Start' }).click()
    await page.getByLabel('override').selectOption('few.yaml')
    await page.getByText('start {"configurationOverride":"few.yaml"}').waitFor()
    await page.getByRole('dialog').getByRole('button', { name: 'Start' }).click()
    await page.getByText('start is done.').waitFor()
    await page.keyboard.press('Enter')
    await answerYes(page, 'Enable')
    await page.getByText('enable is done.').waitFor()
    expect(await running.wire.query('state')).toMatchObject({ summaryState: 'ENABLED', queue: { slots: 2 } })
  })

  test('nothing can be sent while an earlier moment is shown, and a name that is none is not sent', async () => {
    const page = await view('')
    const pause = page.getByRole('banner').getByRole('button', { name: 'Pause' })
    await pause.click()
    await page.getByRole('dialog').waitFor()
    await page.getByLabel('your name').fill('two words')
    await page.keyboard.press('Enter')
    expect(
      await page.getByLabel('your name').evaluate((input: HTMLInputElement) => input.validity.patternMismatch),
    ).toBe(true)
    expect(await running.wire.query('state')).toMatchObject({ queue: { state: 'flowing' } })
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'one entry back' }).click()
    await pause.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Live', exact: true }).click()
    await pause.waitFor()
  })

  test('without --allow-commands the page shows no button that would send anything', async () => {
    const jobId = await submit('endless')
    for (const hash of ['', 'shelf', `actor/job.${jobId}`]) {
      const page = await view(hash, showing.url)
      await page.getByRole('banner').getByText('live').waitFor()
      if (hash.startsWith('actor')) await page.getByRole('heading', { name: `job.${jobId}` }).waitFor()
      expect(await page.locator('.command').count(), hash).toBe(0)
    }
    const page = must(open[0]).page
    // What a script in the page could still try: there is nothing to try it on.
    const code = await context.request
      .post(`${showing.url}commands/abortJob`, {
        data: { who: '', id: 'a', body: { jobId } },
        headers: { origin: showing.url.slice(0, -1) },
      })
      .then(response => response.status())
    expect(code).toBe(405)
    await page.close()
    await running.wire.command('abortJob', { jobId })
    await running.wire.result(jobId)
  })
})

describe('the token', { timeout: SLOW_MS }, () => {
  test('in a link on another site lets in at once, is gone from the address, and works for sockets and commands', async () => {
    const elsewhere = createServer((_, response) =>
      response
        .writeHead(200, { 'Content-Type': 'text/html' })
        .end(`<link rel="icon" href="data:,"><a href="${guarded.url}?token=${TOKEN}">look</a>`),
    ).listen(0, 'localhost')
    await once(elsewhere, 'listening')
    const page = await context.newPage()
    await page.goto(`http://localhost:${(elsewhere.address() as AddressInfo).port}/`)
    await page.getByRole('link', { name: 'look' }).click()
    await page.getByRole('banner').getByText('live').waitFor()
    expect(page.url()).toBe(guarded.url)
    await answerYes(page, 'Pause')
    await page.getByText('pause is done.').waitFor()
    await running.wire.command('resume')
    expect(await page.evaluate(() => document.cookie)).toBe('')
    elsewhere.closeAllConnections()
    elsewhere.close()
  })

  test('that is not there is asked for in a sentence', async () => {
    const page = await context.newPage()
    const response = await page.goto(guarded.url)
    expect(response?.status()).toBe(401)
    await page.getByText('This inspector asks for its token').waitFor()
  })
})
