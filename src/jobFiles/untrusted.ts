/**
 * Files in a job's directory, opened as what they are: the job may have put anything there. A directory is entered and
 * a file opened without following a link and without waiting, and only a regular file with the directory's owner on the
 * directory's device is read. What it holds, how long it is and whether it goes on growing is left to the reader to
 * bound.
 */
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, type Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface OpenedFile {
  readonly descriptor: number
  readonly stat: Stats
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants
const ENTER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK

/**
 * Opens `<directory>/<path>`, where the path to the directory is ours and the directory itself and all below it is the
 * job's. Null for everything that is not a regular file of the job's. The caller closes the descriptor.
 */
export function openUntrusted(directory: string, path: string): OpenedFile | null {
  const entered: number[] = []
  let file: number | null = null
  try {
    // Where no name leads below a descriptor (not Linux) what has been looked at may be another a moment later.
    if (process.platform !== 'linux') {
      if (!isWithoutLinks(directory, path)) return null
      entered.push(openSync(directory, ENTER))
      file = openSync(join(directory, path), READ)
    } else {
      const names = path.split('/').filter(name => name !== '' && name !== '.')
      const last = names.pop()
      if (last === undefined || last === '..' || names.includes('..')) return null
      entered.push(openSync(directory, ENTER))
      for (const name of names) entered.push(openSync(`/proc/self/fd/${entered.at(-1)}/${name}`, ENTER))
      file = openSync(`/proc/self/fd/${entered.at(-1)}/${last}`, READ)
    }
    const [stat, home] = [fstatSync(file), fstatSync(entered[0] ?? -1)]
    if (!stat.isFile() || stat.uid !== home.uid || stat.dev !== home.dev) return null
    const opened = { descriptor: file, stat }
    file = null
    return opened
  } catch {
    return null
  } finally {
    for (const one of entered) closeSync(one)
    if (file !== null) closeSync(file)
  }
}

/** At most so many bytes of it, from a position (negative: from its end); null where it cannot be read. */
export function readUntrusted(directory: string, path: string, position: number, bytesMax: number): Buffer | null {
  const opened = openUntrusted(directory, path)
  if (opened === null) return null
  try {
    const { size } = opened.stat
    const from = position < 0 ? Math.max(0, size + position) : position
    const buffer = Buffer.alloc(Math.max(0, Math.min(bytesMax, size - from)))
    return buffer.subarray(0, buffer.length === 0 ? 0 : readSync(opened.descriptor, buffer, 0, buffer.length, from))
  } catch {
    return null
  } finally {
    closeSync(opened.descriptor)
  }
}

function isWithoutLinks(directory: string, path: string): boolean {
  const home = join(realpathSync.native(dirname(directory)), basename(directory))
  return realpathSync.native(join(directory, path)) === join(home, path)
}
