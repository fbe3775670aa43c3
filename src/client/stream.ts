/**
 * News on its way to a `for await`: what was pushed waits until it is taken, in order, up to a bound; then the oldest
 * is dropped. One queue per stream: two loops over the same stream share it. Leaving a loop does not end the stream; a
 * later loop goes on where it was left.
 */
export interface Stream<T> extends AsyncIterable<T> {
  push(value: T): void
  /** What is waiting can still be taken; then loops end. */
  end(): void
  readonly ended: boolean
}

export interface StreamOptions<T> {
  readonly waitingMax: number
  /** Told of each that was dropped for want of room. */
  readonly onDrop?: (value: T) => void
  /** Called when a loop is left before the end, by break or an error. */
  readonly onLeave?: () => void
}

export function createStream<T>({ waitingMax, onDrop, onLeave }: StreamOptions<T>): Stream<T> {
  // A head index instead of shift(), which copies a long array each time.
  let waiting: T[] = []
  let head = 0
  let ended = false
  const takers: ((result: IteratorResult<T, undefined>) => void)[] = []

  return {
    push(value) {
      if (ended) return
      const taker = takers.shift()
      if (taker) return taker({ done: false, value })
      waiting.push(value)
      if (waiting.length - head > waitingMax) {
        const dropped = take()
        if (dropped) onDrop?.(dropped.value)
      }
    },
    end() {
      if (ended) return
      ended = true
      for (const taker of takers.splice(0)) taker({ done: true, value: undefined })
    },
    get ended() {
      return ended
    },
    [Symbol.asyncIterator]: () => ({
      next() {
        const taken = take()
        if (taken) return Promise.resolve({ done: false, value: taken.value })
        if (ended) return Promise.resolve({ done: true, value: undefined })
        return new Promise(resolve => takers.push(resolve))
      },
      return() {
        onLeave?.()
        return Promise.resolve({ done: true, value: undefined })
      },
    }),
  }

  function take(): { readonly value: T } | null {
    const value = waiting[head]
    if (head >= waiting.length) return null
    head += 1
    if (head > COMPACT_AT && head * 2 > waiting.length) {
      waiting = waiting.slice(head)
      head = 0
    }
    return { value: value as T }
  }
}

// Taken entries are given back in lumps, so that taking costs the same however many wait.
const COMPACT_AT = 256
