import { inflateRawSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { headOf } from '../../src/night/head.ts'
import { createLive, type Live, type Looker, type Word } from '../../src/inspector/live.ts'
import type { Kept } from '../../src/night/keeping.ts'
import type { Tail } from '../../src/night/tail.ts'

/*
 * What the gateway sends to many pages at once, on a stepped clock: who shares what, who is led past what, who is let
 * go.
 */

const NOW = Date.UTC(2026, 10, 22, 22)

let lines: Kept[]
let tail: { -readonly [Key in keyof Tail]: Tail[Key] }
let live: Live

beforeEach(() => {
  vi.useFakeTimers({ now: NOW })
  lines = []
  tail = {
    lines,
    generation: 1,
    caughtUp: true,
    status: { link: 'connected', problem: '', heartbeatAt: null, facts: null },
    close: async () => {},
  }
  live = createLive({ instance: 'LATISS', tail, mayCommand: false })
})
afterEach(() => {
  live.close()
  vi.useRealTimers()
})

interface Page extends Looker {
  bufferedAmount: number
  readonly frames: (string | Buffer)[]
  readonly closed: string[]
  /** n of the entries it was sent. */
  entries(): number[]
  words<Type extends Word['type']>(type: Type): Extract<Word, { type: Type }>[]
}

function look(query = '', isReading = true): Page {
  const frames: (string | Buffer)[] = []
  const closed: string[] = []
  const texts = () => frames.map(frame => (typeof frame === 'string' ? frame : inflateRawSync(frame).toString()))
  const page: Page = {
    bufferedAmount: 0,
    frames,
    closed,
    send(data) {
      frames.push(data)
      if (!isReading) page.bufferedAmount += data.length
    },
    close: (_code, reason) => void closed.push(reason),
    entries: () =>
      texts()
        .filter(text => text.startsWith('{"n"'))
        .flatMap(text => text.split('\n').map(line => headOf(line).n)),
    words: <Type extends Word['type']>(type: Type) =>
      texts()
        .filter(text => text.startsWith('{"type"'))
        .map(text => JSON.parse(text) as Word)
        .filter((word): word is Extract<Word, { type: Type }> => word.type === type),
  }
  live.attach(page, new URLSearchParams(query))
  return page
}

function grow(count: number, length = 100): void {
  const from = (lines.at(-1)?.n ?? 0) + 1
  const text = 'x'.repeat(length)
  for (let n = from; n < from + count; n += 1)
    lines.push({ n, line: `{"n":${n},"at":1,"door":"report","text":"${text}"}`, isQuiescent: false })
}

function rest(): void {
  const n = (lines.at(-1)?.n ?? 0) + 1
  lines.push({ n, line: `{"n":${n},"at":1,"door":"report","quiet":true}`, isQuiescent: true })
}

const tick = () => vi.advanceTimersByTime(100)
const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, index) => from + index)

describe('many pages', () => {
  test('take the same batch: it is made once, and deflated where it is long', () => {
    grow(3)
    const pages = Array.from({ length: 20 }, () => look())
    grow(1_000)
    tick()
    const batches = pages.map(({ frames }) => frames.at(-1))
    expect(new Set(batches).size).toBe(1)
    expect(batches[0]).toBeInstanceOf(Buffer)
    expect(batches[0]?.length).toBeLessThan(20_000)
    for (const page of pages) expect(page.entries()).toEqual(upTo(1_003))
  })

  test('get at most ten messages a second, however much changes', () => {
    const page = look()
    tick()
    const before = page.frames.length
    for (let at = 0; at < 100; at += 1) {
      grow(10)
      vi.advanceTimersByTime(10)
    }
    expect(page.frames.length - before).toBeLessThanOrEqual(10)
  })
})

describe('a page that comes again', () => {
  test('goes on with what follows the newest entry it holds', () => {
    grow(10)
    const [hello] = look().words('hello')
    grow(5)
    const again = look(`of=${hello?.of}&after=10`)
    expect(again.words('hello')).toMatchObject([{ isResumed: true }])
    expect(again.entries()).toEqual(upTo(15, 11))
  })

  test('begins anew where the journal did, or where what it missed is not kept any more', () => {
    grow(10)
    const [hello] = look().words('hello')
    rest()
    grow(10)
    tail.lines = lines.slice(10)
    const late = look(`of=${hello?.of}&after=5`)
    expect(late.words('hello')).toMatchObject([{ isResumed: false }])
    expect(late.entries()).toEqual(upTo(21, 11))
    tail.generation = 2
    expect(look(`of=${hello?.of}&after=15`).words('hello')).toMatchObject([{ isResumed: false }])
  })
})

describe('a slow page', () => {
  test('never has more waiting in its socket than is allowed, and is led past what it missed', () => {
    grow(10)
    const slow = look('', false)
    const quick = look()
    slow.bufferedAmount = 0
    for (let round = 0; round < 40; round += 1) {
      grow(1_000, 2_000)
      // Nothing gets through: as if it had not been read.
      slow.bufferedAmount = 2_000_000 - round
      tick()
    }
    const sent = slow.entries().at(-1) ?? 0
    rest()
    grow(10)
    slow.bufferedAmount = 0
    tick()
    expect(slow.words('skipped')).toEqual([{ type: 'skipped', from: sent + 1, to: 40_010 }])
    expect(slow.entries().slice(-11)).toEqual(upTo(40_021, 40_011))
    expect(quick.words('skipped')).toEqual([])
    expect(quick.entries()).toEqual(upTo(40_021))
  })

  test('that takes nothing for long is let go, with the reason', () => {
    grow(10)
    const stuck = look()
    stuck.bufferedAmount = 2_000_000
    vi.advanceTimersByTime(10_000)
    expect(stuck.closed).toEqual([])
    vi.advanceTimersByTime(11_000)
    expect(stuck.closed).toEqual(['this page took nothing for 20 s; it comes again by itself'])
    const frames = stuck.frames.length
    grow(10)
    tick()
    expect(stuck.frames).toHaveLength(frames)
  })

  test('waits where there is nowhere to begin, instead of being shown half of what is open', () => {
    grow(20)
    tail.lines = lines.slice(10)
    const page = look()
    tick()
    expect(page.entries()).toEqual([])
    rest()
    grow(1)
    tail.lines = lines.slice(10)
    tick()
    expect(page.entries()).toEqual([21, 22])
  })
})

describe('the head of a line', () => {
  test('is read without parsing it, and as parsing it would have', () => {
    const entry = { n: 7, at: 1_795_000_000_000, door: 'command', from: 'script', what: { type: 'command.pause' } }
    expect(headOf(JSON.stringify(entry))).toEqual({ n: 7, at: entry.at, begins: null, isDigest: false, isMark: false })
    const { n, ...rest_ } = entry
    expect(headOf(JSON.stringify({ ...rest_, n }))).toEqual({
      n: 7,
      at: entry.at,
      begins: null,
      isDigest: false,
      isMark: false,
    })
    const engine = (what: object) => headOf(JSON.stringify({ ...entry, door: 'engine', what }))
    expect(engine({ type: 'engine.said', digests: [] }).isDigest).toBe(true)
    const part = { type: 'engine.checkpoint', machines: '1.2', part: 3, of: 3, text: '{}' }
    expect(engine(part)).toEqual({ n: 7, at: entry.at, begins: 5, isDigest: false, isMark: true })
    expect(engine({ ...part, extra: 1, part: 2 })).toMatchObject({ begins: null, isMark: true })
    expect(engine({ type: 'engine.quiescent' }).begins).toBe(7)
    // One that was cut off is none: its first part becomes one with its last.
    expect(engine({ type: 'engine.checkpoint', part: 1, of: 2 }).begins).toBeNull()
    expect(engine({ type: 'engine.checkpoint', part: 2, of: 2 }).begins).toBe(6)
  })
})
