import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

/* A real browser for tests: the one the system has. Pages that complain, about anything, fail the test that opened them. */

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

export async function startBrowser(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? PLACES.find(place => existsSync(place))
  if (executablePath === undefined)
    throw new Error('The tests of the page need Chromium: "apt-get install chromium", or name one with CHROMIUM.')
  // Tests may run as root, where Chromium has no sandbox; it sees nothing but our own page.
  return await chromium.launch({ executablePath, args: ['--no-sandbox'] })
}

export interface Watched {
  readonly page: Page
  /** What the page complained about, or asked of anybody but its own server. */
  readonly complaints: string[]
}

export async function openPage(context: BrowserContext, url: string): Promise<Watched> {
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(error.message))
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  const { host } = new URL(url)
  page.on('request', request => {
    const to = new URL(request.url())
    if (to.host !== host && to.protocol !== 'data:' && to.protocol !== 'blob:')
      complaints.push(`asked ${request.url()}`)
  })
  await page.goto(url)
  return { page, complaints }
}
