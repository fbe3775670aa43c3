/**
 * `npm run bench:page [-- --quick --only load|seeks|pages --profile PREFIX]`: the inspector under load. A page in a real browser while 1 000 jobs a second change 5 000 open ones; seeks over 100 000
 * entries; and what twenty open pages cost the instance. Prints tables; everything runs on this machine, the browser draws without a graphics card.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { WebSocket } from 'ws'
import { startEmbeddedServer } from '../../src/bus/embedded.ts'
import { connectNats } from '../../src/bus/nats.ts'
import { openJournal } from '../../src/journal/log.ts'
import { createRandom } from '../../src/sim/random.ts'
import { startBrowser } from '../inspector/browser.ts'
import { countTraffic, heapMb, lookFor, type Looked, seek } from './page/looking.ts'
import type { Ask, Load, Measured } from './page/writer.ts'

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean' }, only: { type: 'string' }, profile: { type: 'string' } },
})
const SIZES =
  options.quick === true
    ? { lookMs: 3_000, warmMs: 4_000, entries: 20_000, seeks: 15, measureMs: 4_000, rounds: 1 }
    : { lookMs: 10_000, warmMs: 10_000, entries: 100_000, seeks: 50, measureMs: 10_000, rounds: 3 }
// With their groups just under 5 000 actors: an instance with more writes no checkpoint.
const LOAD = { open: 4_200, jobsPerSecond: 1_000 }
const PAGES = 20
const REAL_PAGES = 2
const VIEWS = [
  ['night', ''],
  ['chart of job', 'charts/job'],
  ['actor queue', 'actor/queue'],
  ['actor csc', 'actor/csc'],
  ['metrics', 'metrics'],
] as const
const SIZE = { width: 1_280, height: 800 }
// A page reads some 100 000 entries before it shows the present; on a busy machine that takes a while.
const PATIENCE_MS = 120_000

const dir = mkdtempSync(join(tmpdir(), 'ocps-bench-page-'))
const server = await startEmbeddedServer({ storeDir: join(dir, 'nats') })
const browser = await startBrowser()
console.log(
  `${availableParallelism()} cores, load average ${loadavg()
    .map(one => one.toFixed(1))
    .join(' ')} before it began\n`,
)
try {
  for (const [name, measure] of Object.entries({ load: underLoad, seeks, pages: manyPages }))
    if (options.only === undefined || options.only === name) await measure()
} finally {
  await browser.close()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
}

async function underLoad(): Promise<void> {
  const { writer, gateway, end } = await world('BUSY', LOAD)
  console.log(
    '| view | frames/s | longest frame ms | frames > 33 ms | kB/s | messages/s | entries/s | shown after ms p50 / p99 | heap MB |',
  )
  console.log('|---|---:|---:|---:|---:|---:|---:|---:|---:|')
  const opened = await open(browser, `${gateway}#/`)
  await delayed(SIZES.warmMs)
  for (const [name, hash] of VIEWS) {
    await opened.evaluate(to => void (location.hash = `#/${to}`), hash)
    await delayed(1_500)
    const stop =
      options.profile === undefined
        ? null
        : await profile(opened, `${options.profile}-${name.replaceAll(' ', '-')}.cpuprofile`)
    const looked = await lookFor(opened, SIZES.lookMs)
    await stop?.()
    const ages = await agesOf('BUSY', looked.seen)
    row(
      name,
      looked.framesPerSecond.toFixed(1),
      looked.longestFrameMs.toFixed(0),
      `${(looked.lateFrames * 100).toFixed(1)} %`,
      (looked.bytesPerSecond / 1_000).toFixed(0),
      looked.messagesPerSecond.toFixed(1),
      looked.entriesPerSecond.toFixed(0),
      `${at(ages, 0.5).toFixed(0)} / ${at(ages, 0.99).toFixed(0)}`,
      (await heapMb(opened)).toFixed(0),
    )
  }
  const wrote = await told<Measured>(writer, { ask: 'measure', ms: SIZES.measureMs })
  console.log(
    `\nwhile the page was open: ${wrote.jobsPerSecond.toFixed(0)} jobs/s, ${wrote.entriesPerSecond.toFixed(0)} entries/s, ${wrote.actors} actors\n`,
  )
  await opened.context().close()
  await end()
}

async function seeks(): Promise<void> {
  const { writer, gateway, end } = await world('LONG', LOAD)
  await told(writer, { ask: 'fill', entries: SIZES.entries })
  const page = await open(browser, `${gateway}#/`)
  const random = createRandom(1, 'seek')
  await delayed(1_000)
  const stop = options.profile === undefined ? null : await profile(page, `${options.profile}-seeks.cpuprofile`)
  const took = await seek(
    page,
    Array.from({ length: SIZES.seeks }, () => random.uniform()),
  )
  await stop?.()
  console.log(
    `${SIZES.seeks} random seeks over ${SIZES.entries} entries: p50 ${at(took, 0.5).toFixed(0)} ms, p90 ${at(took, 0.9).toFixed(0)} ms, max ${Math.max(...took).toFixed(0)} ms\n`,
  )
  await page.context().close()
  await end()
}

async function manyPages(): Promise<void> {
  const { writer, gateway, end } = await world('WATCHED', LOAD)
  console.log('| pages | jobs/s | event-loop delay p99 / max ms | heartbeat off by, ms max |')
  console.log('|---:|---:|---:|---:|')
  await delayed(SIZES.warmMs)
  for (let round = 0; round < SIZES.rounds; round += 1)
    for (const [sockets, inBrowser] of [
      [0, 0],
      [PAGES, 0],
      [PAGES, REAL_PAGES],
    ] as const) {
      const looking = await lookers(gateway, sockets)
      const pages: Page[] = []
      for (let page = 0; page < inBrowser; page += 1) pages.push(await open(browser, `${gateway}#/`))
      await delayed(2_000)
      const it = await told<Measured>(writer, { ask: 'measure', ms: SIZES.measureMs })
      row(
        `${sockets}${inBrowser === 0 ? '' : ` and ${inBrowser} in a browser on the same cores`}`,
        it.jobsPerSecond.toFixed(0),
        `${it.delayP99Ms.toFixed(1)} / ${it.delayMaxMs.toFixed(0)}`,
        it.heartbeatOffMs.toFixed(0),
      )
      for (const socket of looking) socket.close()
      for (const page of pages) await page.context().close()
    }
  await end()
}

async function world(instance: string, load: Pick<Load, 'open' | 'jobsPerSecond'>) {
  const writer = fork(fileURLToPath(new URL('page/writer.js', import.meta.url)))
  await told(writer, { ask: 'start', load: { ...load, url: server.url, instance } })
  const cli = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
  const words = [cli, 'inspect', '--instance', instance, '--url', server.url, '--port', '0', '--json']
  const inspector = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let gateway = ''
  for await (const line of createInterface({ input: inspector.stdout })) {
    gateway = (JSON.parse(line) as { url: string }).url
    break
  }
  const end = async () => {
    await told(writer, { ask: 'stop' })
    writer.disconnect()
    await once(writer, 'exit')
    inspector.kill()
    await once(inspector, 'exit')
  }
  return { writer, gateway, end }
}

/** Resolves when the page shows the present. */
async function open(from: Browser, url: string): Promise<Page> {
  const context = await from.newContext({ viewport: SIZE })
  const page = await context.newPage()
  await countTraffic(page)
  await page.goto(url)
  await page.waitForFunction(
    () => {
      const text = document.querySelector('.scrubber .number')?.textContent ?? ''
      return text.includes('entry') && !text.includes('before') && document.querySelector('.tiles') !== null
    },
    null,
    { timeout: PATIENCE_MS },
  )
  return page
}

/** Pages that only listen. */
async function lookers(gateway: string, count: number): Promise<WebSocket[]> {
  const { host, origin } = new URL(gateway)
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = new WebSocket(`ws://${host}/live`, { origin })
      socket.on('message', () => {})
      await once(socket, 'open')
      return socket
    }),
  )
}

/** From the time an entry came in to the time the page showed it, milliseconds; both clocks are this machine's. */
async function agesOf(instance: string, seen: Looked['seen']): Promise<number[]> {
  const wanted = new Map(seen.map(({ n, at: shownAt }) => [n, shownAt]))
  const bus = await connectNats({ url: server.url, name: 'bench' })
  const { journal } = await openJournal({ bus, instance })
  const ages: number[] = []
  for await (const { n, at: cameAt } of journal.read()) {
    const shownAt = wanted.get(n)
    if (shownAt !== undefined) ages.push(shownAt - cameAt)
    if (ages.length === wanted.size) break
  }
  await bus.close()
  return ages
}

async function profile(page: Page, file: string): Promise<() => Promise<void>> {
  const session = await page.context().newCDPSession(page)
  await session.send('Profiler.enable')
  await session.send('Profiler.start')
  return async () => {
    const { profile: made } = await session.send('Profiler.stop')
    const { writeFileSync } = await import('node:fs')
    writeFileSync(file, JSON.stringify(made))
  }
}

async function told<Answer = null>(child: ChildProcess, ask: Ask): Promise<Answer> {
  child.send(ask)
  const [answer] = (await once(child, 'message')) as [{ value?: Answer; error?: string }]
  if (answer.error !== undefined) throw new Error(`the writer cannot ${ask.ask}: ${answer.error}`)
  return answer.value as Answer
}

function at(all: readonly number[], share: number): number {
  const sorted = all.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function row(...cells: readonly string[]): void {
  console.log(`| ${cells.join(' | ')} |`)
}

function delayed(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
