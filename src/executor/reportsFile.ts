/**
 * The reports file of one job, read forward while the job runs. Each line that is not blank is heard once and in order;
 * a line without its newline waits, until the job has ended. It is read in bounded slices so that no job can hold up
 * the event loop; when to look is left to whoever owns it (follow.ts).
 */
import { closeSync, lstatSync, readSync, realpathSync, type Stats } from 'node:fs'
import { openUntrusted } from '../jobFiles/untrusted.ts'
import { bad, LINE_BYTES_MAX, type LineReport, parseReportLine, tooLong } from './reportLines.ts'

/**
 * A pipeline reports a few dozen facts; this many would be 190 000 journal entries in a second for 189 detectors if
 * each reported 1 000.
 */
export const REPORTS_MAX = 10_000
/**
 * Ten thousand reports of 6 kB. Read in all, also over what was written anew: a file may be sparse, or grow for ever.
 */
export const REPORTS_BYTES_MAX = 64 << 20
/** Blank ones among them: a gigabyte of newlines would take a core for minutes. */
const LINES_MAX = 10 * REPORTS_MAX
/** Read in one go: about 0.1 ms of the event loop, or 1 ms where all of it is short lines. */
const SLICE_BYTES = 65_536

export interface ReportsFile {
  /** Reads what is new, at most one slice; true when there may be more. */
  poll(): boolean
  /** After the end of the job and after poll answered false: the last line counts even without its newline. */
  finish(): void
}

/**
 * `heardBefore` lines have been heard in an earlier life and are passed over. At most REPORTS_MAX lines are heard: then
 * one badReport says so, and nothing more is read; LINES_MAX and REPORTS_BYTES_MAX hold in the same way.
 */
export function reportsFile(directory: string, heardBefore: number, hear: (report: LineReport) => void): ReportsFile {
  let position = 0
  let bytesRead = 0
  let linesRead = 0
  let isOver = false
  let lines = 0
  let held: Buffer[] = []
  let heldBytes = 0

  const tell = (report: LineReport): void => {
    if (isOver) return
    lines += 1
    isOver = lines > REPORTS_MAX
    if (lines <= heardBefore) return
    hear(lines > REPORTS_MAX ? bad(`too many reports: those after the first ${REPORTS_MAX} are not read`) : report)
  }

  const endLine = (rest: Buffer): void => {
    linesRead += 1
    if (linesRead > LINES_MAX) return void over(`too many lines: those after the first ${LINES_MAX} are not read`)
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

  /** One last report, and what was held of a line is forgotten. */
  const over = (reason: string): false => {
    tell(bad(reason))
    isOver = true
    held = []
    heldBytes = 0
    return false
  }

  return {
    poll: () => {
      if (isOver) return false
      const status = statusOf(directory)
      if (status === null) return false
      if (!status.isFile()) return over('reports.ndjson is not a regular file any more: nothing is read from it')
      // Someone opened it anew for writing: what stands there now is read from its beginning.
      if (status.size < position) [position, held, heldBytes] = [0, [], 0]
      if (status.size === position) return false
      if (bytesRead >= REPORTS_BYTES_MAX)
        return over(`too many bytes of reports: those after the first ${REPORTS_BYTES_MAX} are not read`)
      const slice = readSlice(directory, position)
      position += slice.length
      bytesRead += slice.length
      let from = 0
      for (let newline = slice.indexOf(10); newline !== -1; newline = slice.indexOf(10, from)) {
        endLine(slice.subarray(from, newline))
        if (isOver) return false
        from = newline + 1
      }
      hold(slice.subarray(from))
      return slice.length > 0 && position < status.size
    },
    finish: () => {
      if (heldBytes > 0) endLine(Buffer.alloc(0))
    },
  }
}

/** One for all: a slice is dealt with before the next is read. */
const slice = Buffer.allocUnsafeSlow(SLICE_BYTES)

function readSlice(directory: string, position: number): Buffer {
  const opened = openUntrusted(directory, REPORTS)
  if (opened === null) return slice.subarray(0, 0)
  try {
    return slice.subarray(0, readSync(opened.descriptor, slice, 0, SLICE_BYTES, position))
  } catch {
    return slice.subarray(0, 0)
  } finally {
    closeSync(opened.descriptor)
  }
}

/** Null where there is nothing, or nothing that may be looked at. */
function statusOf(directory: string): Stats | null {
  try {
    return lstatSync(`${directory}/${REPORTS}`)
  } catch {
    return null
  }
}

const REPORTS = 'reports.ndjson'

/**
 * A dataset is announced only when its file is there and lies inside the job's directory after every symbolic link is
 * followed. It is proven now: whoever opens it later opens what is there then.
 */
function proven(directory: string, report: Extract<LineReport, { type: 'executor.dataset' }>): LineReport {
  const { dataset, path } = report
  try {
    if (!lstatSync(directory).isDirectory())
      return bad(`dataset ${dataset}: the job's directory is not a directory any more`)
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
