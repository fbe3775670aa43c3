/**
 * The processes the page's bench is about: a busy instance, the inspector beside it as `ocps inspect` starts it, a page
 * in a browser, and pages that only read.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { WebSocket } from 'ws'
import { invariant } from '../../../machines/domain/invariant.ts'
import { countTraffic } from './looking.ts'
import { type Bench, LOAD } from './part.ts'
import type { Ask, Measured } from './writer.ts'

export interface World {
  /** Where the inspector is. */
  readonly gateway: string
  readonly inspectorPid: number
  /** Jobs come and go from now on; resolves when as many are open as wanted. */
  go(): Promise<void>
  /** No job ends and none comes until `go`. */
  rest(): Promise<void>
  fill(entries: number): Promise<void>
  measure(ms: number): Promise<Measured>
  end(): Promise<void>
}

export async function startWorld({ url }: Bench, instance: string): Promise<World> {
  const writer = fork(fileURLToPath(new URL('writer.js', import.meta.url)))
  await told(writer, { ask: 'start', load: { ...LOAD, url, instance } })
  const cli = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))
  const words = [cli, 'inspect', '--instance', instance, '--url', url, '--port', '0', '--json']
  const inspector = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let gateway = ''
  for await (const line of createInterface({ input: inspector.stdout })) {
    gateway = (JSON.parse(line) as { url: string }).url
    break
  }
  invariant(gateway !== '' && inspector.pid !== undefined, 'an inspector that says where it is')
  return {
    gateway,
    inspectorPid: inspector.pid,
    go: () => told(writer, { ask: 'go' }),
    rest: () => told(writer, { ask: 'rest' }),
    fill: entries => told(writer, { ask: 'fill', entries }),
    measure: ms => told(writer, { ask: 'measure', ms }),
    async end() {
      await told(writer, { ask: 'stop' })
      const gone = Promise.all([once(writer, 'exit'), once(inspector, 'exit')])
      writer.disconnect()
      inspector.kill()
      await gone
    },
  }
}

const SIZE = { width: 1_280, height: 800 }
const ARRIVED_WITHIN_MS = 60_000

/**
 * Resolves when the page shows the present of a journal that rests; a page that does not get there in time is said to,
 * and is no error.
 */
export async function openPage({ browser }: Bench, { gateway }: World): Promise<{ page: Page; isThere: boolean }> {
  const context = await browser.newContext({ viewport: SIZE })
  const page = await context.newPage()
  await countTraffic(page)
  await page.goto(`${gateway}#/`)
  return { page, isThere: await arrived(page) }
}

/** Waits until everything that came is folded and drawn. */
async function arrived(page: Page): Promise<boolean> {
  const isThere = page.waitForFunction(
    () => {
      const text = document.querySelector('.scrubber .number')?.textContent ?? ''
      return text.includes('entry') && !text.endsWith('…') && document.querySelector('.tiles') !== null
    },
    null,
    { timeout: ARRIVED_WITHIN_MS },
  )
  return await isThere.then(
    () => true,
    () => false,
  )
}

/** Pages that only read: real sockets, each taking all that the inspector sends. */
export async function openReaders({ gateway }: World, count: number): Promise<{ bytes(): number; close(): void }> {
  const { host, origin } = new URL(gateway)
  let bytes = 0
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = new WebSocket(`ws://${host}/live`, { origin })
      socket.on('message', (data: Buffer) => {
        bytes += data.length
      })
      await once(socket, 'open')
      return socket
    }),
  )
  return {
    bytes: () => bytes,
    close: () => {
      for (const socket of sockets) socket.terminate()
    },
  }
}

/** Of the page's thread; what is returned ends it and writes the file. */
export async function profile({ profileTo }: Bench, page: Page, name: string): Promise<() => Promise<void>> {
  if (profileTo === null) return async () => {}
  const session = await page.context().newCDPSession(page)
  await session.send('Profiler.enable')
  await session.send('Profiler.start')
  return async () => {
    const { profile: made } = await session.send('Profiler.stop')
    writeFileSync(`${profileTo}-${name.replaceAll(/\W+/g, '-')}.cpuprofile`, JSON.stringify(made))
  }
}

/** What was begun is over before it is looked at. */
export async function calmDown(ms: number): Promise<void> {
  await delay(ms)
}

async function told<Answer = void>(child: ChildProcess, ask: Ask): Promise<Answer> {
  child.send(ask)
  const [answer] = (await once(child, 'message')) as [{ value?: Answer; error?: string }]
  if (answer.error !== undefined) throw new Error(`the writer cannot ${ask.ask}: ${answer.error}`)
  return answer.value as Answer
}
