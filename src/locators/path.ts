import { stat } from 'node:fs/promises'
import { inputPath } from '../../machines/domain/located.ts'
import type { LocatorAnswer } from '../../machines/domain/messages.ts'
import type { DataOrder, Locator } from '../../machines/ports.ts'

/**
 * Where the path template of a site says that the data of a job are, and since when. As a locator of its own it serves
 * sites without an OODS: a job may run when its files are there. An NFS server that hangs holds up who waits for data,
 * and nobody else.
 */
export interface PathOptions {
  readonly report: (answer: LocatorAnswer) => void
  readonly paths?: Paths
  /** Calls again and again until it is called off. */
  readonly every?: (milliseconds: number, call: () => void) => () => void
}

export type Look = Extract<DataOrder, { type: 'data.look' }>

/** When a file was written last, milliseconds since 1970 UTC; null: there is none. */
export type WrittenAt = (path: string) => Promise<number | null>

export interface Paths {
  /** When the last of the files of this job was written; null while one is not there, or where no path can be told. */
  completeAt(look: Look): Promise<number | null>
}

// A file system is asked for every waiting job: as often as a person would notice, and no more.
const LOOK_EVERY_MS = 1_000

export function createPathLocator({ report, paths = createPaths(), every = interval }: PathOptions): Locator {
  const waiting = new Map<string, Look>()
  let isLooking = false
  let rest = (): void => {}

  return {
    order(order) {
      if (order.type === 'data.follow') return
      if (order.type === 'data.forget') return forget(order.jobId)
      if (waiting.size === 0) rest = every(LOOK_EVERY_MS, () => void lookAgain())
      waiting.set(order.jobId, order)
      void look(order, () => report({ type: 'data.absent', jobId: order.jobId }))
    },
  }

  async function look(order: Look, otherwise: () => void): Promise<void> {
    const completeAt = await paths.completeAt(order)
    if (waiting.get(order.jobId) !== order) return
    if (completeAt === null) return otherwise()
    forget(order.jobId)
    report({ type: 'data.present', jobId: order.jobId })
  }

  /** One round at a time, however long a file system takes. */
  async function lookAgain(): Promise<void> {
    if (isLooking) return
    isLooking = true
    for (const order of waiting.values()) await look(order, () => {})
    isLooking = false
  }

  function forget(jobId: string): void {
    if (waiting.delete(jobId) && waiting.size === 0) rest()
  }
}

export function createPaths(writtenAt: WrittenAt = modifiedAt): Paths {
  // One after the other: a file system that hangs then holds one of Node's four threads for file access, and not all of
  // them.
  let last: Promise<unknown> = Promise.resolve()
  return {
    completeAt(look) {
      const answer = last.then(() => completeAt(look))
      last = answer
      return answer
    },
  }

  async function completeAt(look: Look): Promise<number | null> {
    const paths = pathsOf(look)
    if (paths === null) return null
    let newest = -Infinity
    for (const path of paths) {
      const at = await writtenAt(path)
      if (at === null) return null
      newest = Math.max(newest, at)
    }
    return newest
  }
}

/** One for each detector it is about, each once; null where the template names what the job does not have. */
function pathsOf({ dataId, dataPath = '', detectors }: Look): readonly string[] | null {
  if (dataPath === '') return null
  const paths = new Set<string>()
  for (const detector of detectors ?? [dataId.detector]) {
    const path = inputPath({ ...dataId, detector }, dataPath)
    if ('problem' in path) return null
    paths.add(path.ok)
  }
  return [...paths]
}

async function modifiedAt(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mtimeMs
  } catch {
    return null
  }
}

function interval(milliseconds: number, call: () => void): () => void {
  const timer = setInterval(call, milliseconds).unref()
  return () => clearInterval(timer)
}
