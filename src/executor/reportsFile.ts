/**
 * The reports file of one job, read forward while the job runs. Each line that is not blank is heard once and in order; a line without
 * its newline waits, until the job has ended. It is read in bounded slices so that no job can hold up the event loop; when to look is
 * left to whoever owns it (follow.ts).
 */
import { closeSync, lstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { bad, LINE_BYTES_MAX, type LineReport, parseReportLine, tooLong } from './reportLines.ts'

/** A pipeline reports a few dozen facts; this many would be 190 000 journal entries in a second for 189 detectors if each reported 1 000. */
export const REPORTS_MAX = 10_000
/** Read in one go: about 0.1 ms of the event loop, or 1 ms where all of it is short lines. */
const SLICE_BYTES = 65_536

export interface ReportsFile {
  /** Reads what is new, at most one slice; true when there may be more. */
  poll(): boolean
  /** After the end of the job and after poll answered false: the last line counts even without its newline. */
  finish(): void
}

/**
 * `heardBefore` lines have been heard in an earlier life and are passed over. At most REPORTS_MAX lines are heard: then one badReport
 * says so, and nothing more is read.
 */
export function reportsFile(directory: string, heardBefore: number, hear: (report: LineReport) => void): ReportsFile {
  const path = `${directory}/reports.ndjson`
  let position = 0
  let lines = 0
  let held: Buffer[] = []
  let heldBytes = 0

  const tell = (report: LineReport): void => {
    if (lines > REPORTS_MAX) return
    lines += 1
    if (lines <= heardBefore) return
    hear(lines > REPORTS_MAX ? bad(`too many reports: those after the first ${REPORTS_MAX} are not read`) : report)
  }

  const endLine = (rest: Buffer): void => {
    const bytes = heldBytes + rest.length
    if (bytes > LINE_BYTES_MAX) tell(tooLong(bytes))
    else {
      const report = parseReportLine(held.length === 0 ? rest : Buffer.concat([...held, rest]))
      if (report) tell(report.type === 'executor.dataset' ? proven(directory, report) : report)
    }
    held = []
    heldBytes = 0
  }

  const hold = (rest: Buffer): void => {
    heldBytes += rest.length
    if (heldBytes > LINE_BYTES_MAX) held = []
    // A copy: the slice is read into again.
    else if (rest.length > 0) held.push(Buffer.from(rest))
  }

  return {
    poll: () => {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
      // Someone opened it anew for writing: what stands there now is read from its beginning.
      if (size < position) [position, held, heldBytes] = [0, [], 0]
      if (size === position || lines > REPORTS_MAX) return false
      const slice = readSlice(path, position)
      position += slice.length
      let from = 0
      for (let newline = slice.indexOf(10); newline !== -1; newline = slice.indexOf(10, from)) {
        endLine(slice.subarray(from, newline))
        from = newline + 1
      }
      hold(slice.subarray(from))
      return slice.length > 0 && position < size && lines <= REPORTS_MAX
    },
    finish: () => {
      if (heldBytes > 0) endLine(Buffer.alloc(0))
    },
  }
}

/** One for all: a slice is dealt with before the next is read. */
const slice = Buffer.allocUnsafeSlow(SLICE_BYTES)

function readSlice(path: string, position: number): Buffer {
  let file: number | null = null
  try {
    file = openSync(path, 'r')
    return slice.subarray(0, readSync(file, slice, 0, SLICE_BYTES, position))
  } catch {
    return slice.subarray(0, 0)
  } finally {
    if (file !== null) closeSync(file)
  }
}

/**
 * A dataset is announced only when its file is there and lies inside the job's directory after every symbolic link is followed. It is
 * proven now: whoever opens it later opens what is there then.
 */
function proven(directory: string, report: Extract<LineReport, { type: 'executor.dataset' }>): LineReport {
  const { dataset, path } = report
  try {
    const real = realpathSync.native(`${directory}/${path}`)
    if (!real.startsWith(`${realpathSync.native(directory)}/`))
      return bad(`dataset ${dataset}: ${path} leads out of the job's directory`)
    const { isFile, isDirectory } = kindOf(real)
    return isFile || isDirectory ? report : bad(`dataset ${dataset}: ${path} is neither a file nor a directory`)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return bad(`dataset ${dataset}: ${path} cannot be found (${code}); write the file before reporting it`)
  }
}

function kindOf(path: string): { isFile: boolean; isDirectory: boolean } {
  const status = lstatSync(path)
  return { isFile: status.isFile(), isDirectory: status.isDirectory() }
}
