import type { Tally, Tallying } from './tally.ts'

/** What is different between a recorded night and a supposed one, job by job and in the order of starts. */
export interface Comparison {
  readonly recorded: Tally
  readonly whatIf: Tally
  /** Jobs that ended another way, in one of them not at all. */
  readonly changed: readonly { readonly jobId: string; readonly recorded: string; readonly whatIf: string }[]
  /** Groups whose newest result is another one. */
  readonly changedGroups: readonly { readonly group: string; readonly recorded: string; readonly whatIf: string }[]
  /** The fewest jobs that would have to be started at another place to turn one order into the other. */
  readonly startedInAnotherOrder: number
}

export function comparisonOf(recorded: Tallying, whatIf: Tallying): Comparison {
  const outcome = ({ results }: Tallying, id: string) => results.get(id)?.outcome.kind ?? 'none'
  const ending = ({ groupResults }: Tallying, id: string) => groupResults.get(id)?.outcome ?? 'none'
  return {
    recorded: recorded.tally(),
    whatIf: whatIf.tally(),
    changed: union(recorded.results, whatIf.results).flatMap(jobId => {
      const pair = { recorded: outcome(recorded, jobId), whatIf: outcome(whatIf, jobId) }
      return pair.recorded === pair.whatIf ? [] : [{ jobId, ...pair }]
    }),
    changedGroups: union(recorded.groupResults, whatIf.groupResults).flatMap(group => {
      const pair = { recorded: ending(recorded, group), whatIf: ending(whatIf, group) }
      return pair.recorded === pair.whatIf ? [] : [{ group, ...pair }]
    }),
    startedInAnotherOrder: movedBetween(recorded.started, whatIf.started),
  }
}

function union(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...one.keys(), ...other.keys()])]
}

/** Of those that are in both: all but the longest run that kept its order. */
function movedBetween(before: readonly string[], after: readonly string[]): number {
  const places = new Map(before.map((id, place) => [id, place]))
  const moved = after.flatMap(id => places.get(id) ?? [])
  // Patience sorting: the smallest last place of an increasing run of each length.
  const tails: number[] = []
  for (const place of moved) {
    let low = 0
    let high = tails.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((tails[middle] ?? Infinity) < place) low = middle + 1
      else high = middle
    }
    tails[low] = place
  }
  return moved.length - tails.length
}
