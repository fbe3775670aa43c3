/**
 * Whose jobs were there when launchers died. One that dies is replaced, but a pipeline that ends its launcher again and
 * again is what is wrong: its jobs are refused for a while, and all others run. Knows pipelines by name; who was there
 * is read from the ledger by others.
 */

/** One may be killed by hand and the next by the system short of memory. */
export const DEATHS_MAX = 3
/** Deaths longer ago are forgotten, and so is the refusal: whoever mends the pipeline need not restart OCPS. */
export const REMEMBERED_MS = 600_000

export interface Blame {
  /**
   * A launcher died or was stopped while jobs of these pipelines ran, the one started last at the end; the pipeline
   * refused from now on, or null.
   */
  launcherDied(pipelines: readonly string[], nowMs: number): string | null
  /** A job ended at a launcher that lives: whoever does that is not the one who kills. */
  jobEnded(pipeline: string): void
  /** A sentence where jobs of this pipeline are not to be started, else null. */
  refusal(pipeline: string, nowMs: number): string | null
}

export function createBlame(): Blame {
  const deaths = new Map<string, readonly number[]>()
  const refusedAtMs = new Map<string, number>()
  const isRefused = (pipeline: string, nowMs: number): boolean =>
    nowMs - (refusedAtMs.get(pipeline) ?? Number.NEGATIVE_INFINITY) < REMEMBERED_MS

  return {
    launcherDied: (pipelines, nowMs) => {
      for (const pipeline of new Set(pipelines)) {
        const recent = (deaths.get(pipeline) ?? []).filter(at => nowMs - at < REMEMBERED_MS)
        deaths.set(pipeline, [...recent, nowMs])
      }
      // Of several that were there each time, it is the one that came last: it ends its launcher soon after it is
      // begun.
      const guilty = pipelines.findLast(one => (deaths.get(one)?.length ?? 0) >= DEATHS_MAX && !isRefused(one, nowMs))
      if (guilty === undefined) return null
      deaths.clear()
      refusedAtMs.set(guilty, nowMs)
      return guilty
    },
    jobEnded: pipeline => void deaths.delete(pipeline),
    refusal: (pipeline, nowMs) =>
      isRefused(pipeline, nowMs)
        ? `Pipeline ${pipeline}: ${DEATHS_MAX} launchers in a row died or were stopped while a job of it ran, so none is started for ${REMEMBERED_MS / 60_000} minutes; see that it signals no process but its own.`
        : null,
  }
}
