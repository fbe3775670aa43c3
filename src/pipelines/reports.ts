// How a pipeline tells OCPS what it found: one line of JSON per report on file descriptor 3, which the executor opened
// on reports.ndjson. Run by hand there is no such file, and the lines go to stdout.

import { fstatSync, writeSync } from 'node:fs'

const REPORTS_FD = 3
const STDOUT_FD = 1

export interface Reports {
  /**
   * `value` NaN and ±Infinity are spelled out, as JSON has none; null means not measured. `unit` in astropy's spelling,
   * '' for none.
   */
  readonly metric: (name: string, value: number | null, unit: string) => void
  /** `path` relative to the working directory. */
  readonly dataset: (name: string, path: string, mime: string) => void
  /** `fraction` 0…1. */
  readonly progress: (fraction: number, note: string) => void
  /** What the pipeline thinks of the data; the outcome is not touched by it. */
  readonly verdict: (text: string) => void
}

/** Reports written to the executor's file, or to stdout where there is none. */
export function openReports(): Reports {
  const fd = isRegularFile(REPORTS_FD) ? REPORTS_FD : STDOUT_FD
  return reportsTo(line => {
    writeSync(fd, line)
  })
}

/** Reports as lines of JSON, each ended by a line feed, given to `write` one at a time. */
export function reportsTo(write: (line: string) => void): Reports {
  const say = (report: Record<string, unknown>): void => write(`${JSON.stringify(report)}\n`)
  return {
    metric: (metric, value, unit) => say({ metric, value: spelled(value), unit }),
    dataset: (dataset, path, mime) => say({ dataset, path, mime }),
    progress: (progress, note) => say({ progress, note }),
    verdict: verdict => say({ verdict }),
  }
}

function spelled(value: number | null): number | string | null {
  return value === null || Number.isFinite(value) ? value : String(value)
}

/**
 * Node's own event loop may sit on descriptor 3 when nobody handed one over; only a regular file can be the executor's.
 */
function isRegularFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile()
  } catch {
    return false
  }
}
