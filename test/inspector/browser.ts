import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { find } from '../outside.ts'
import { bundledChromium, type Chromium } from './bundledChromium.ts'

/*
 * A real browser for tests: the one the system has, else the one npm brings. Pages that complain, about anything, fail
 * the test that opened them.
 */

let found: Chromium | null | undefined

/** Null where no browser starts. */
export function findBrowser(): Chromium | null {
  if (found !== undefined) return found
  const path = find('chromium')
  found = path === null ? bundledChromium() : { path, env: {} }
  return found
}

export async function startBrowser(): Promise<Browser> {
  const browser = findBrowser()
  if (browser === null)
    throw new Error('No Chromium or Chrome starts on this machine; install one, or name it with CHROMIUM.')
  return await chromium.launch({
    executablePath: browser.path,
    env: { ...definedEnvironment(), ...browser.env },
    // Tests may run as root, where Chromium has no sandbox; it sees nothing but our own page.
    args: ['--no-sandbox'],
  })
}

function definedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  )
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
