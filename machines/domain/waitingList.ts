/**
 * Who waits for a slot: lanes by priority, each a list of small chunks. Plain data that is never changed in place, and
 * whose cost per job stays flat however long it grows (a spread array would copy 100 000 places for every job).
 */
export interface WaitingList {
  readonly size: number
  /** Highest priority first; no lane is empty. */
  readonly lanes: readonly Lane[]
}

interface Lane {
  readonly priority: number
  readonly chunks: readonly (readonly Waiting[])[]
}

export interface Waiting {
  readonly jobId: string
  readonly slots: number
}

// A chunk is copied for every job that enters or leaves it; 256 places keep both that copy and the list of chunks short
// at 100 000 jobs.
const CHUNK_MAX = 256

export const EMPTY: WaitingList = { size: 0, lanes: [] }

/** The list with one more at the end of its lane. */
export function add(list: WaitingList, priority: number, waiting: Waiting): WaitingList {
  const at = list.lanes.findIndex(lane => lane.priority <= priority)
  const lane = at === -1 ? undefined : list.lanes[at]
  const lanes =
    lane?.priority === priority
      ? list.lanes.with(at, { priority, chunks: append(lane.chunks, waiting) })
      : list.lanes.toSpliced(at === -1 ? list.lanes.length : at, 0, { priority, chunks: [[waiting]] })
  return { size: list.size + 1, lanes }
}

/** Who is next: of the highest priority the oldest (fifo) or the newest. */
export function next(list: WaitingList, order: 'fifo' | 'newestFirst'): Waiting | undefined {
  const chunks = list.lanes[0]?.chunks
  return order === 'fifo' ? chunks?.[0]?.[0] : chunks?.at(-1)?.at(-1)
}

/** The list without who is next. */
export function withoutNext(list: WaitingList, order: 'fifo' | 'newestFirst'): WaitingList {
  const lane = list.lanes[0]
  if (!lane) return list
  const at = order === 'fifo' ? 0 : lane.chunks.length - 1
  return without(list, 0, at, order === 'fifo' ? 0 : (lane.chunks[at]?.length ?? 0) - 1)
}

/** The list without one job, wherever it stands; the same list if it does not stand there. */
export function remove(list: WaitingList, jobId: string): WaitingList {
  for (const [laneAt, lane] of list.lanes.entries())
    for (const [chunkAt, chunk] of lane.chunks.entries()) {
      const place = chunk.findIndex(waiting => waiting.jobId === jobId)
      if (place !== -1) return without(list, laneAt, chunkAt, place)
    }
  return list
}

/** All of them, in the order they would be taken. */
export function inOrder(list: WaitingList, order: 'fifo' | 'newestFirst'): Waiting[] {
  return list.lanes.flatMap(lane => (order === 'fifo' ? lane.chunks.flat() : lane.chunks.flat().reverse()))
}

function append(chunks: Lane['chunks'], waiting: Waiting): Lane['chunks'] {
  const last = chunks.at(-1)
  return last && last.length < CHUNK_MAX ? chunks.with(-1, [...last, waiting]) : [...chunks, [waiting]]
}

function without(list: WaitingList, laneAt: number, chunkAt: number, place: number): WaitingList {
  const lane = list.lanes[laneAt]
  const chunk = lane?.chunks[chunkAt]
  if (!lane || !chunk) return list
  const rest = chunk.toSpliced(place, 1)
  const chunks = rest.length === 0 ? lane.chunks.toSpliced(chunkAt, 1) : lane.chunks.with(chunkAt, rest)
  const lanes =
    chunks.length === 0 ? list.lanes.toSpliced(laneAt, 1) : list.lanes.with(laneAt, { priority: lane.priority, chunks })
  return { size: list.size - 1, lanes }
}
