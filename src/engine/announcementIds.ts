/** Ids of announcements: `<entry>.<place>`, with a suffix for what one of them brings along (`12.3.job_result`). */

/**
 * Where an announcement stands in the order of all of them, for comparing ids. Asked for every one that is folded:
 * nothing is split up, and no sentence made for nothing.
 */
export function isAfter(id: string, other: string | null): boolean {
  if (other === null) return true
  const n = Number.parseInt(id, 10)
  const m = Number.parseInt(other, 10)
  if (Number.isNaN(n) || Number.isNaN(m))
    throw new Error(`invariant: announcement ids ${id} and ${other} are not numbers`)
  return n > m || (n === m && placeIn(id) > placeIn(other))
}

/** The 3 of `12.3`, and of `12.3.job_result`. */
function placeIn(id: string): number {
  const dot = id.indexOf('.')
  return dot === -1 ? 0 : Number.parseInt(id.slice(dot + 1), 10)
}

/** Directly before another one; whether anything was said there or not. */
export function before(id: string): string {
  return `${Number.parseInt(id, 10)}.${placeIn(id) - 1}`
}

/** null, for nothing at all, is before every other. */
export function earliest(ids: readonly (string | null)[]): string | null {
  return ids.reduce(
    (one, other) => (one === null || other === null ? null : isAfter(one, other) ? other : one),
    ids[0] ?? null,
  )
}
