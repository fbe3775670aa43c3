/**
 * Viewers of the `@statelyai/inspect` family: each is sent the actors as they are when it comes, then what happens.
 * Folds the journal only once somebody looks, a slice at a time so that the page beside it stays quick; reads nothing a
 * viewer sends. A slow viewer only makes itself late.
 */
import type { Entry } from '../../journal/entry.ts'
import { after, type Tail } from '../../night/tail.ts'
import { choiceOf, KINDS } from './choice.ts'
import { createFold, type Fold } from './fold.ts'
import { isOver, type Shown } from './messages.ts'
import { createOutbox, type Outbox } from './outbox.ts'

/** What is needed of a WebSocket. */
export interface Viewer {
  readonly bufferedAmount: number
  send(text: string): void
  close(code: number, reason: string): void
}

export interface Hub {
  /** Serves it until what is returned is called. A query that cannot be read closes it, with the reason. */
  attach(viewer: Viewer, query: URLSearchParams): () => void
  close(): void
}

/**
 * Ours, and without the _version by which receivers of the package know a message: for the bridge page and whoever
 * reads the socket.
 */
export interface Attached {
  readonly type: '@ocps.attached'
  readonly instance: string
  readonly entry: number
  /** Live actors that were asked for, and how many of them are shown. */
  readonly live: number
  readonly shown: number
}

// As often as the page: more than an eye follows.
const TICK_MS = 100
// The page's sockets wait no longer than this while a long night is folded.
const SLICE_MS = 25
// Between two looks at the clock.
const SLICE_ENTRIES = 50
// What may wait in a socket before its viewer counts as slow.
const BUFFERED_MAX = 512 * 1024

// Of RFC 6455: it may come again, it asked for what cannot be, we cannot.
const CLOSE = { comeAgain: 1012, badQuery: 1008, broken: 1011 } as const

export function createHub({ instance, tail }: { readonly instance: string; readonly tail: Tail }): Hub {
  const viewers = new Map<Viewer, { readonly wants: (shown: Shown) => boolean; outbox: Outbox | null }>()
  let fold: Fold | null = null
  let generation = 0
  let problem: string | null = null
  let timer: NodeJS.Timeout | null = null

  return {
    attach(viewer, query) {
      const choice = choiceOf(query)
      if (!choice.ok) {
        viewer.close(CLOSE.badQuery, choice.problem)
        return () => {}
      }
      viewers.set(viewer, { wants: choice.wants, outbox: null })
      if (timer === null) tick()
      return () => void viewers.delete(viewer)
    },
    close() {
      viewers.clear()
      if (timer) clearTimeout(timer)
    },
  }

  function tick(): void {
    timer = null
    const isBehind = !follow()
    if (problem !== null) dismiss(CLOSE.broken, problem)
    else if (!isBehind && tail.caughtUp) for (const [viewer, { outbox }] of viewers) if (!outbox) greet(viewer)
    for (const [viewer, { outbox }] of viewers) if (outbox) pump(viewer, outbox)
    if (viewers.size > 0) timer = setTimeout(tick, isBehind ? 0 : TICK_MS)
  }

  /** Folds what is new, for a slice of time; false: there is more. */
  function follow(): boolean {
    if (generation !== tail.generation || hasLost()) {
      if (fold) dismiss(CLOSE.comeAgain, 'the journal begins anew; come again', ({ outbox }) => outbox !== null)
      generation = tail.generation
      fold = createFold(instance, spread)
      problem = null
    }
    fold ??= createFold(instance, spread)
    const until = performance.now() + SLICE_MS
    while (problem === null) {
      const slice = after(tail, fold.n, SLICE_ENTRIES)
      if (slice.length === 0) return true
      for (const { n, line } of slice) {
        try {
          fold.apply(JSON.parse(line) as Entry)
        } catch (error) {
          problem = `entry ${n} cannot be folded by this version: ${error instanceof Error ? error.message : String(error)}`
          break
        }
      }
      if (performance.now() > until) return false
    }
    return true
  }

  /** What came next has been dropped from the beginning of the lines while nobody looked. */
  function hasLost(): boolean {
    const [first] = tail.lines
    return fold !== null && fold.n > 0 && first !== undefined && first.n > fold.n + 1
  }

  function spread(shown: Shown): void {
    for (const { outbox } of viewers.values()) outbox?.take(shown)
  }

  function greet(viewer: Viewer): void {
    const served = viewers.get(viewer)
    if (!served || !fold) return
    const { wants } = served
    const live = [...fold.live.values()].filter(shown => wants(shown) && !isOver(shown))
    live.sort((one, other) => KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind))
    const outbox = createOutbox({ instance, isWanted: wants, now: live })
    served.outbox = outbox
    const word: Attached = { type: '@ocps.attached', instance, entry: fold.n, live: live.length, shown: outbox.actors }
    viewer.send(JSON.stringify(word))
  }

  function pump(viewer: Viewer, outbox: Outbox): void {
    while (viewer.bufferedAmount < BUFFERED_MAX) {
      const messages = outbox.next()
      if (messages === null) return
      for (const message of messages) viewer.send(message)
    }
  }

  function dismiss(code: number, reason: string, which: (served: { outbox: Outbox | null }) => boolean = () => true) {
    for (const [viewer, served] of viewers) {
      if (!which(served)) continue
      viewers.delete(viewer)
      viewer.close(code, inBytes(reason))
    }
  }
}

/** As much as a close frame holds. */
function inBytes(reason: string): string {
  return Buffer.from(reason).subarray(0, 120).toString('utf8').replace(/�$/, '')
}
