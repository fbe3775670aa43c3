/**
 * The journal as it grows, to every page that is open. Each batch is made once, however many pages take it; a page that
 * cannot take it all is led past what it missed, and one that takes nothing is let go, with the reason. Holds no more
 * for a page than its socket may buffer.
 */
import { randomBytes } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { after, type Tail } from '../night/tail.ts'

/** What is needed of a WebSocket. */
export interface Looker {
  readonly bufferedAmount: number
  send(data: string | Buffer): void
  close(code: number, reason: string): void
}

export interface Live {
  /**
   * Serves it until what is returned is called. The query says what it holds already: `of` and `after`, both from a
   * page that was here before.
   */
  attach(looker: Looker, query: URLSearchParams): () => void
  close(): void
}

/** What a page is told beside entries. Entries come as lines: in a text, or deflated where there are many. */
export type Word =
  /** Everything begins anew, unless it goes on from what the page holds. */
  | {
      readonly type: 'hello'
      readonly instance: string
      readonly now: number
      readonly commands: boolean
      readonly of: string
      readonly isResumed: boolean
    }
  | ({ readonly type: 'status'; readonly now: number } & Tail['status'])
  | { readonly type: 'caughtUp' }
  /** Entries between these two are not sent; the next one holds all that was open. */
  | { readonly type: 'skipped'; readonly from: number; readonly to: number }

// At most ten batches per second and page: more than an eye follows.
const BATCH_MS = 100
const BATCH_LINES = 2_000
// Some 1 000 entries; one part of a checkpoint is half as long.
const BATCH_BYTES = 500_000
// A whole journal, deflated some 10 MB: pages that are opened one after the other take the same batches.
const BATCHES_MAX = 200
// Below this a browser inflates no faster than it would have read.
const DEFLATE_MIN = 16_000
// What may wait in a socket before its page is left to catch up by itself.
const BUFFERED_MAX = 1024 * 1024
// A page that is further behind would be seconds late for good.
const LAG_LINES_MAX = 20_000
// A page that takes nothing for so long is asleep or gone; it comes again by itself.
const STUCK_MS = 20_000
// RFC 6455: try again later.
const COME_AGAIN = 1013

interface Served {
  generation: number
  sentN: number
  status: string
  isCaughtUp: boolean
  stuckSince: number | null
  buffered: number
}

interface Batch {
  readonly data: string | Buffer
  readonly lastN: number
  /** Whatever comes, a batch after the same entry would be this one. */
  readonly isFull: boolean
}

export function createLive({
  instance,
  tail,
  mayCommand,
}: {
  readonly instance: string
  readonly tail: Tail
  readonly mayCommand: boolean
}): Live {
  const served = new Map<Looker, Served>()
  // Numbers of another gateway, or of a journal that began anew, say nothing here.
  const own = randomBytes(6).toString('hex')
  let timer: NodeJS.Timeout | null = null
  /** By the entry they follow. */
  const batches = new Map<number, Batch>()
  let batchesOf = tail.lines

  return {
    attach(looker, query) {
      const held = query.get('of') === name() ? Number(query.get('after')) : 0
      const [first] = tail.lines
      const isResumed = held > 0 && first !== undefined && first.n <= held + 1
      const one = { generation: 0, sentN: 0, status: '', isCaughtUp: false, stuckSince: null, buffered: 0 }
      served.set(looker, one)
      if (isResumed) greet(looker, one, held)
      pump(looker, one)
      timer ??= setInterval(tick, BATCH_MS)
      return () => {
        served.delete(looker)
        if (served.size > 0 || timer === null) return
        clearInterval(timer)
        timer = null
      }
    },
    close() {
      served.clear()
      if (timer) clearInterval(timer)
    },
  }

  function name(): string {
    return `${own}.${tail.generation}`
  }

  function tick(): void {
    for (const [looker, one] of served) pump(looker, one)
    // Of those that hold all there was, the next one will hold more.
    for (const [n, { isFull }] of batches) if (!isFull) batches.delete(n)
  }

  function pump(looker: Looker, one: Served): void {
    if (isStuck(looker, one)) return
    if (one.generation !== tail.generation) greet(looker, one, 0)
    const status = JSON.stringify({ ...tail.status, now: 0 })
    if (status !== one.status) say(looker, { type: 'status', ...tail.status, now: Date.now() })
    one.status = status
    if (!mayGoOn(looker, one)) return
    while (looker.bufferedAmount < BUFFERED_MAX) {
      const batch = batchAfter(one.sentN)
      if (batch === null) break
      one.sentN = batch.lastN
      looker.send(batch.data)
    }
    if (one.isCaughtUp || !tail.caughtUp || after(tail, one.sentN, 1).length > 0) return
    one.isCaughtUp = true
    say(looker, { type: 'caughtUp' })
  }

  function greet(looker: Looker, one: Served, sentN: number): void {
    one.generation = tail.generation
    one.sentN = sentN
    one.isCaughtUp = false
    one.status = ''
    say(looker, {
      type: 'hello',
      instance,
      now: Date.now(),
      commands: mayCommand,
      of: name(),
      isResumed: sentN > 0,
    })
  }

  /**
   * Leads over what was dropped meanwhile, or is too much to be read, to an entry that holds all that was open. False:
   * there is none yet.
   */
  function mayGoOn(looker: Looker, one: Served): boolean {
    const { lines } = tail
    const [first] = lines
    if (first === undefined) return true
    const mustSeek = one.sentN + 1 < first.n && !(one.sentN === 0 && first.isQuiescent)
    const isLate = one.isCaughtUp && after(tail, one.sentN, LAG_LINES_MAX + 1).length > LAG_LINES_MAX
    if (!mustSeek && !isLate) return true
    const to = lines.findLast(({ isQuiescent }) => isQuiescent)
    if (to === undefined || to.n <= one.sentN) return !mustSeek
    if (one.sentN > 0) say(looker, { type: 'skipped', from: one.sentN + 1, to: to.n - 1 })
    one.sentN = to.n - 1
    return true
  }

  /** null: there is nothing after n. */
  function batchAfter(n: number): Batch | null {
    if (batchesOf !== tail.lines) batches.clear()
    batchesOf = tail.lines
    const known = batches.get(n)
    if (known) return known
    const texts: string[] = []
    let lastN = n
    let bytes = 0
    let isFull = false
    for (const one of after(tail, n, BATCH_LINES)) {
      isFull = bytes > 0 && bytes + one.line.length > BATCH_BYTES
      if (isFull) break
      texts.push(one.line)
      bytes += one.line.length
      lastN = one.n
    }
    if (texts.length === 0) return null
    isFull ||= texts.length === BATCH_LINES
    const text = texts.join('\n')
    // Level 1: a tenth of the bytes for a hundredth of a core; harder ones gain little on lines that are alike.
    const data = bytes < DEFLATE_MIN ? text : deflateRawSync(text, { level: 1 })
    const batch = { data, lastN, isFull }
    batches.set(n, batch)
    const [oldest] = batches.keys()
    if (batches.size > BATCHES_MAX && oldest !== undefined) batches.delete(oldest)
    return batch
  }

  function isStuck(looker: Looker, one: Served): boolean {
    const { bufferedAmount } = looker
    const isMoving = bufferedAmount < BUFFERED_MAX || bufferedAmount < one.buffered
    one.buffered = bufferedAmount
    if (isMoving) one.stuckSince = null
    else one.stuckSince ??= performance.now()
    if (one.stuckSince === null || performance.now() - one.stuckSince < STUCK_MS) return false
    served.delete(looker)
    looker.close(COME_AGAIN, `this page took nothing for ${STUCK_MS / 1_000} s; it comes again by itself`)
    return true
  }
}

function say(looker: Looker, word: Word): void {
  looker.send(JSON.stringify(word))
}
