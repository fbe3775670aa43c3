/**
 * Deadlines in order: a binary heap with lazy removal. A timer that was cancelled or armed anew is skipped when its old
 * place comes up.
 */
export interface Timer {
  readonly address: string
  readonly timer: string
  /** In elapsed time (journal/entry.ts), milliseconds. */
  readonly due: number
  /** Equal deadlines fire in the order they were armed. */
  readonly serial: number
}

export class Deadlines {
  readonly #heap: Timer[]

  constructor(like?: Deadlines) {
    this.#heap = like ? like.#heap.slice() : []
  }

  push(timer: Timer): void {
    this.#heap.push(timer)
    let at = this.#heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#swapIfLater(parent, at)) break
      at = parent
    }
  }

  clear(): void {
    this.#heap.length = 0
  }

  peek(): Timer | undefined {
    return this.#heap[0]
  }

  pop(): Timer | undefined {
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (first === undefined || last === undefined || this.#heap.length === 0) return first
    this.#heap[0] = last
    for (let at = 0; ; ) {
      const left = 2 * at + 1
      const right = left + 1
      const child = right < this.#heap.length && this.#isLater(left, right) ? right : left
      if (child >= this.#heap.length || !this.#swapIfLater(at, child)) return first
      at = child
    }
  }

  #isLater(one: number, other: number): boolean {
    const a = this.#heap[one]
    const b = this.#heap[other]
    return a !== undefined && b !== undefined && (a.due > b.due || (a.due === b.due && a.serial > b.serial))
  }

  #swapIfLater(parent: number, child: number): boolean {
    const a = this.#heap[parent]
    const b = this.#heap[child]
    if (a === undefined || b === undefined || !this.#isLater(parent, child)) return false
    this.#heap[parent] = b
    this.#heap[child] = a
    return true
  }
}
