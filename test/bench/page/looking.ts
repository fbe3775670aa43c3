/// <reference lib="dom" />
/**
 * What a page shows, measured inside it: frames, what comes, when which entry could be seen, and how long it takes
 * until another moment is drawn.
 */
import type { Page } from 'playwright-core'

export interface Looked {
  /** Between one frame and the next. */
  readonly gapsMs: readonly number[]
  readonly bytesPerSecond: number
  readonly messagesPerSecond: number
  /** When which entry was first seen, milliseconds since 1970 UTC. */
  readonly seen: readonly { readonly n: number; readonly at: number }[]
}

/** To be called before the page is opened. */
export async function countTraffic(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const Real = globalThis.WebSocket
    const traffic = { bytes: 0, messages: 0 }
    Object.assign(globalThis, { traffic })
    globalThis.WebSocket = class extends Real {
      constructor(url: string | URL) {
        super(url)
        this.addEventListener('message', ({ data }) => {
          traffic.bytes += typeof data === 'string' ? data.length : (data as ArrayBuffer).byteLength
          traffic.messages += 1
        })
      }
    }
  })
}

export async function lookFor(page: Page, ms: number): Promise<Looked> {
  return await page.evaluate(async (wanted: number) => {
    const { traffic } = globalThis as unknown as { traffic: { bytes: number; messages: number } }
    const shown = () =>
      Number(/entry (\d+)/.exec(document.querySelector('.scrubber .number')?.textContent ?? '')?.[1] ?? 0)
    const before = { ...traffic }
    const began = performance.now()
    const gapsMs: number[] = []
    const seen: { n: number; at: number }[] = []
    let last = began
    let lastN = shown()
    while (performance.now() - began < wanted) {
      // The time of the frame, not of when it was our turn in it.
      const now = await new Promise<number>(resolve => requestAnimationFrame(resolve))
      if (now > last) gapsMs.push(now - last)
      last = now
      const n = shown()
      if (n !== lastN) seen.push({ n, at: Date.now() })
      lastN = n
    }
    const seconds = (performance.now() - began) / 1_000
    return {
      gapsMs,
      bytesPerSecond: (traffic.bytes - before.bytes) / seconds,
      messagesPerSecond: (traffic.messages - before.messages) / seconds,
      seen,
    }
  }, ms)
}

/**
 * Milliseconds from the pointer's event until the moment is drawn, at these shares of the scrubber, one after the
 * other.
 */
export async function click(page: Page, shares: readonly number[]): Promise<number[]> {
  const { x, y, width } = await slider(page)
  await timeMoves(page, 'pointerdown')
  const took: number[] = []
  let last = width
  for (const share of shares) {
    // A click on the thumb moves nothing.
    last = Math.abs(share * width - last) > THUMB_PX ? share * width : (last + width / 2) % width
    await page.mouse.click(x + last, y)
    took.push(await moved(page))
  }
  return took
}

/** As `click`, with the pointer held down all the while. */
export async function scrub(page: Page, shares: readonly number[]): Promise<number[]> {
  const { x, y, width } = await slider(page)
  await page.mouse.move(x + width / 2, y)
  await page.mouse.down()
  await timeMoves(page, 'pointermove')
  const took: number[] = []
  for (const share of shares) {
    await page.mouse.move(x + share * width, y)
    took.push(await moved(page))
  }
  await page.mouse.up()
  return took
}

const THUMB_PX = 24

async function slider(page: Page): Promise<{ x: number; y: number; width: number }> {
  const box = await page.locator('.scrubber input[type=range]').boundingBox()
  if (box === null) throw new Error('the page has no scrubber')
  return { x: box.x, y: box.y + box.height / 2, width: box.width }
}

/**
 * From each such event until the frame after the one that showed the moment; listens before any is made, for the
 * pointer is faster than a question.
 */
async function timeMoves(page: Page, type: 'pointerdown' | 'pointermove'): Promise<void> {
  await page.evaluate(wanted => {
    const own = globalThis as unknown as { moves: number[]; endMoves?: AbortController }
    own.endMoves?.abort()
    own.endMoves = new AbortController()
    own.moves = []
    const text = () => document.querySelector('.scrubber .number')?.textContent ?? ''
    // A moment that is not there by then is counted as this late.
    const boundMs = 5_000
    document.addEventListener(
      wanted,
      ({ timeStamp }) => {
        const before = text()
        const look = () => {
          const ms = performance.now() - timeStamp
          if ((text() === before || text().endsWith('…')) && ms < boundMs) return requestAnimationFrame(look)
          return own.moves.push(ms)
        }
        requestAnimationFrame(look)
      },
      { capture: true, signal: own.endMoves.signal },
    )
  }, type)
}

async function moved(page: Page): Promise<number> {
  const ms = await page.waitForFunction(() => (globalThis as unknown as { moves: number[] }).moves.shift())
  return (await ms.jsonValue()) ?? Number.NaN
}
