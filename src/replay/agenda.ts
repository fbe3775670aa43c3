/**
 * What is going to happen in a virtual night, taken off in order of time; at the same moment by rank, then in the order
 * it was put down. A binary heap: a night holds some million things, most of them put down early.
 */
export interface Planned<T> {
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  /** At the same moment the lower one comes first. */
  readonly rank: number
  readonly what: T
}

export interface Agenda<T> {
  add(planned: Planned<T>): void
  first(): Planned<T> | undefined
  take(): Planned<T> | undefined
}

export function createAgenda<T>(): Agenda<T> {
  const heap: (Planned<T> & { readonly serial: number })[] = []
  let serial = 0

  return {
    add(planned) {
      heap.push({ ...planned, serial: ++serial })
      let at = heap.length - 1
      while (at > 0) {
        const parent = (at - 1) >> 1
        if (!isLater(parent, at)) return
        swap(parent, at)
        at = parent
      }
    },
    first: () => heap[0],
    take() {
      const first = heap[0]
      const last = heap.pop()
      if (first === undefined || last === undefined || heap.length === 0) return first
      heap[0] = last
      for (let at = 0; ; ) {
        const left = 2 * at + 1
        const child = left + 1 < heap.length && isLater(left, left + 1) ? left + 1 : left
        if (child >= heap.length || !isLater(at, child)) return first
        swap(at, child)
        at = child
      }
    },
  }

  function isLater(one: number, other: number): boolean {
    const a = heap[one]
    const b = heap[other]
    if (a === undefined || b === undefined) return false
    return a.at - b.at > 0 || (a.at === b.at && (a.rank - b.rank > 0 || (a.rank === b.rank && a.serial > b.serial)))
  }

  function swap(one: number, other: number): void {
    const a = heap[one]
    const b = heap[other]
    if (a === undefined || b === undefined) return
    heap[one] = b
    heap[other] = a
  }
}
