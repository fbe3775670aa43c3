/**
 * `npm run shots [-- --all DIR]`: the two screenshots of the README, made anew from a lively scene; with --all every
 * view in light and dark, small and large, for somebody to look at. Needs Chromium.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { machines } from '../../../machines/index.ts'
import { packageRoot } from '../../../src/instance/versions.ts'
import { startBrowser } from '../browser.ts'
import { startScene } from './scene.ts'

const { values } = parseArgs({ options: { all: { type: 'string' } } })
const SMALL = { width: 1_280, height: 800 }
const SIZES = [
  ['small', { width: 1_280, height: 720 }],
  ['large', { width: 2_560, height: 1_440 }],
] as const
const KINDS = Object.keys(machines)

const scene = await startScene()
const browser = await startBrowser()
try {
  const job = `actor/job.${scene.runningJob}`
  const here = join(packageRoot, 'test', 'inspector', 'shots')
  await shoot(browser, { hash: '', file: join(here, 'night.png'), size: SMALL, theme: 'light' })
  await shoot(browser, { hash: job, file: join(here, 'job.png'), size: SMALL, theme: 'dark' })
  if (values.all !== undefined) {
    await shootAll(values.all)
    await shootAway(values.all)
  }
} finally {
  await browser.close()
  await scene.stop()
}

interface Shot {
  readonly hash: string
  readonly file: string
  readonly size: typeof SMALL
  readonly theme: 'light' | 'dark'
  /** What the page says of the instance. */
  readonly chip?: string
  readonly before?: ((page: Page) => Promise<void>) | undefined
  readonly mayCommand?: boolean
}

async function shoot(
  from: Browser,
  { hash, file, size, theme, chip = 'live', before, mayCommand = false }: Shot,
): Promise<void> {
  const context = await from.newContext({ viewport: size, colorScheme: theme, reducedMotion: 'reduce' })
  const page = await context.newPage()
  await page.goto(`${(mayCommand ? scene.commanding : scene.gateway).url}#/${hash}`)
  await page.getByRole('banner').locator('.chip', { hasText: chip }).waitFor()
  await page.waitForLoadState('networkidle')
  await before?.(page)
  writeFileSync(file, await page.screenshot())
  console.log(file)
  await context.close()
}

async function shootAll(into: string): Promise<void> {
  mkdirSync(into, { recursive: true })
  const job = `actor/job.${scene.runningJob}`
  const views: readonly (readonly [name: string, hash: string, before?: Shot['before'], mayCommand?: boolean])[] = [
    ['night', ''],
    ...KINDS.map(kind => [`chart-${kind}`, `charts/${kind}`] as const),
    ['job-running', `actor/job.${scene.runningJob}`],
    ['job-done', `actor/job.${scene.doneJob}`],
    ['job-failed', `actor/job.${scene.failedJob}`],
    ['group-filling', `actor/${scene.fillingGroup}`],
    ['group-combined', `actor/${scene.combinedGroup}`],
    ['queue', 'actor/queue'],
    ['images', 'images'],
    ['image-large', `images/${scene.doneJob}`],
    ['focal', 'focal'],
    ['metrics', 'metrics'],
    ['shelf', 'shelf'],
    ['journal', 'journal'],
    ['travelling', '', page => page.getByRole('slider').fill('60')],
    ['before-the-first', '', page => page.getByRole('slider').fill('0')],
    ['nobody', 'actor/job.nobody'],
    ['commands', `actor/${scene.fillingGroup}`, undefined, true],
    ['confirm', `actor/${scene.fillingGroup}`, page => page.getByRole('button', { name: 'Close group' }).click(), true],
    ['confirm-grave', job, page => page.getByRole('button', { name: 'Abort job' }).click(), true],
    ['recording', '', dropRecording],
  ]
  for (const [sizeName, size] of SIZES)
    for (const theme of ['light', 'dark'] as const)
      for (const [name, hash, before, mayCommand = false] of views) {
        const file = join(into, `${name}-${sizeName}-${theme}.png`)
        await shoot(browser, { hash, file, size, theme, mayCommand, ...(before && { before }) })
      }
}

/** What is looked at while nothing has happened yet, and while OCPS is away. */
async function shootAway(into: string): Promise<void> {
  await scene.leave()
  for (const theme of ['light', 'dark'] as const)
    await shoot(browser, { hash: '', file: join(into, `away-small-${theme}.png`), size: SMALL, theme, chip: 'away' })
}

async function dropRecording(page: Page): Promise<void> {
  const transfer = await page.evaluateHandle(
    text => {
      const data = new DataTransfer()
      data.items.add(new File([text], 'night.ndjson'))
      return data
    },
    await scene.recording(),
  )
  await page.dispatchEvent('main', 'drop', { dataTransfer: transfer })
  await page.getByRole('banner').locator('.chip', { hasText: 'recording' }).waitFor()
}
