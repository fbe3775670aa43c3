import { stat } from 'node:fs/promises'
import { inputPath } from '../../machines/domain/inputs.ts'
import type { DataOrder } from '../../machines/ports.ts'

/**
 * Where the path template of a site says that the data of a job are, and since when they are there. It only looks; what that means is said by who asks.
 */
export type Look = Extract<DataOrder, { type: 'data.look' }>

/** When a file was written last, milliseconds since 1970 UTC; null: there is none. */
export type WrittenAt = (path: string) => Promise<number | null>

export interface Paths {
  /** When the last of the files of this job was written; null while one is not there, or where no path can be told. */
  completeAt(look: Look): Promise<number | null>
}

export function createPaths(writtenAt: WrittenAt = modifiedAt): Paths {
  // One after the other: a file system that hangs then holds one of Node's four threads for file access, and not all of them.
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
export function pathsOf({ dataId, dataPath = '', detectors }: Look): readonly string[] | null {
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
