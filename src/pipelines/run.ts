// What every built-in pipeline's process does around its work: read the environment, turn a failure into one sentence
// on stderr and an exit code. Overrides were checked against the catalogue by OCPS already; here they are checked again
// for runs by hand.

import { EXIT, PipelineFailure, reasonOf } from './failure.ts'
import { openReports, type Reports } from './reports.ts'

export interface PipelineRun {
  /** Arguments after the script's name. */
  readonly args: readonly string[]
  readonly reports: Reports
  /**
   * A number from OCPS_OVERRIDES, or `otherwise` where it is not overridden. Throws PipelineFailure (exit 2) for
   * anything else.
   */
  readonly numberOverride: (name: string, otherwise: number) => number
}

/** Runs `work` as this process's whole purpose and ends the process accordingly. */
export function runPipeline(work: (run: PipelineRun) => void): void {
  try {
    const overrides = readOverrides(process.env['OCPS_OVERRIDES'] ?? '')
    work({
      args: process.argv.slice(2),
      reports: openReports(),
      numberOverride: (name, otherwise) => numberOverride(overrides, name, otherwise),
    })
  } catch (error) {
    if (error instanceof PipelineFailure) process.stderr.write(`${error.message}\n`)
    else
      process.stderr.write(
        `defect in the pipeline: ${error instanceof Error ? (error.stack ?? error.message) : reasonOf(error)}\n`,
      )
    process.exitCode = error instanceof PipelineFailure ? error.exitCode : EXIT.defect
  }
}

function readOverrides(text: string): ReadonlyMap<string, unknown> {
  if (text.trim() === '') return new Map()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new PipelineFailure(
      `OCPS_OVERRIDES must be a JSON object, but it cannot be parsed: ${reasonOf(error)}.`,
      EXIT.usage,
    )
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PipelineFailure(`OCPS_OVERRIDES must be a JSON object, found ${text.slice(0, 80)}.`, EXIT.usage)
  }
  return new Map(Object.entries(value))
}

function numberOverride(overrides: ReadonlyMap<string, unknown>, name: string, otherwise: number): number {
  const value = overrides.get(name)
  if (value === undefined || value === null) return otherwise
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  throw new PipelineFailure(`Override "${name}" must be a number above 0, found ${JSON.stringify(value)}.`, EXIT.usage)
}
