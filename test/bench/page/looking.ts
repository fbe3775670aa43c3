/// <reference lib="dom" />
/** What a page shows, measured inside it: frames, bytes that come, how old the newest entry is that can be seen, and how long a seek takes. */
import type { Page } from 'playwright-core'

export interface Looked {
  readonly framesPerSecond: number
  readonly longestFrameMs: number
  /** Of frames, the share that took longer than 1/30 s. */
  readonly lateFrames: number
  readonly bytesPerSecond: number
  readonly messagesPerSecond: number
  /** Entries per second that were shown. */
  readonly entriesPerSecond: number
  /** When which entry was first seen, for `agesOf`. */
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
    const firstN = shown()
    const frames: number[] = []
    const seen: { n: number; at: number }[] = []
    let last = began
    let lastN = firstN
    while (performance.now() - began < wanted) {
      await new Promise(resolve => requestAnimationFrame(resolve))
      const now = performance.now()
      frames.push(now - last)
      last = now
      const n = shown()
      if (n !== lastN) seen.push({ n, at: Date.now() })
      lastN = n
    }
    const seconds = (performance.now() - began) / 1_000
    return {
      framesPerSecond: frames.length / seconds,
      longestFrameMs: Math.max(...frames),
      lateFrames: frames.filter(one => one > 1_000 / 30).length / frames.length,
      bytesPerSecond: (traffic.bytes - before.bytes) / seconds,
      messagesPerSecond: (traffic.messages - before.messages) / seconds,
      entriesPerSecond: (lastN - firstN) / seconds,
      seen,
    }
  }, ms)
}

/** Of the page's own objects, after what is not needed any more has been given back. */
export async function heapMb(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  await session.detach()
  return usedSize / 1e6
}

/** Milliseconds from the slider's move until the moment is drawn, one after the other. */
export async function seek(page: Page, shares: readonly number[]): Promise<number[]> {
  return await page.evaluate(async (wanted: readonly number[]) => {
    const slider = document.querySelector<HTMLInputElement>('.scrubber input[type=range]')
    const text = () => document.querySelector('.scrubber .number')?.textContent ?? ''
    if (slider === null) throw new Error('the page has no scrubber')
    const frame = () => new Promise(resolve => requestAnimationFrame(resolve))
    const took: number[] = []
    for (const share of wanted) {
      const before = text()
      const [min, max] = [Number(slider.min), Number(slider.max)]
      const began = performance.now()
      slider.value = String(Math.round(min + share * (max - min)))
      slider.dispatchEvent(new Event('input', { bubbles: true }))
      do await frame()
      while (text() === before || text().endsWith('…'))
      took.push(performance.now() - began)
    }
    return took
  }, shares)
}
