// Which bright star is which: triangles with the same sides in two lists of stars vote for their corners.

import type { Point } from './grid.ts'

/** One star in both lists, by index. */
export interface Pair {
  readonly reference: number
  readonly frame: number
}

/** Pairs handed on, best-voted first: the true ones lead by far, twelve give 66 transforms to try. */
const PAIRS_MAX = 12

/** Corners in the order of the sides opposite to them, longest first. */
interface Triangle {
  readonly corners: readonly [number, number, number]
  readonly sides: readonly [number, number, number]
  /** Whether the corners run counter-clockwise: a mirror image is another triangle. */
  readonly left: boolean
}

/** The pairs most triangles agree on; sides are the same when they differ by less than `tolerance`, pixels. */
export function matchTriangles(reference: readonly Point[], frame: readonly Point[], tolerance: number): Pair[] {
  const ours = trianglesOf(reference, tolerance)
  const longest = Float64Array.from(ours, triangle => triangle.sides[0])
  const votes = new Map<number, number>()
  for (const theirs of trianglesOf(frame, tolerance)) {
    for (let at = firstAbove(longest, theirs.sides[0] - tolerance); at < ours.length; at++) {
      const triangle = ours[at]
      if (triangle === undefined || triangle.sides[0] > theirs.sides[0] + tolerance) break
      if (triangle.left !== theirs.left) continue
      if (Math.abs(triangle.sides[1] - theirs.sides[1]) > tolerance) continue
      if (Math.abs(triangle.sides[2] - theirs.sides[2]) > tolerance) continue
      for (const corner of [0, 1, 2] as const) {
        const pair = triangle.corners[corner] * frame.length + theirs.corners[corner]
        votes.set(pair, (votes.get(pair) ?? 0) + 1)
      }
    }
  }
  return [...votes]
    .sort(([a, m], [b, n]) => n - m || a - b)
    .slice(0, PAIRS_MAX)
    .map(([pair]) => ({ reference: Math.floor(pair / frame.length), frame: pair % frame.length }))
}

/** Every triangle whose three sides can be told apart, shortest longest-side first. */
function trianglesOf(stars: readonly Point[], tolerance: number): Triangle[] {
  const triangles: Triangle[] = []
  for (const [i, a] of stars.entries()) {
    for (let j = i + 1; j < stars.length; j++) {
      for (let k = j + 1; k < stars.length; k++) {
        const [b, c] = [stars[j], stars[k]]
        if (b === undefined || c === undefined) continue
        const opposite = [
          { corner: i, point: a, side: distance(b, c) },
          { corner: j, point: b, side: distance(a, c) },
          { corner: k, point: c, side: distance(a, b) },
        ].sort((p, q) => q.side - p.side)
        const [p, q, r] = opposite
        if (p === undefined || q === undefined || r === undefined) continue
        // Sides closer than the tolerance could swap places between the frames, and short ones fit anything.
        if (p.side - q.side < 2 * tolerance || q.side - r.side < 2 * tolerance || r.side < 8 * tolerance) continue
        const turn =
          (q.point.x - p.point.x) * (r.point.y - p.point.y) - (q.point.y - p.point.y) * (r.point.x - p.point.x)
        triangles.push({ corners: [p.corner, q.corner, r.corner], sides: [p.side, q.side, r.side], left: turn > 0 })
      }
    }
  }
  return triangles.sort((a, b) => a.sides[0] - b.sides[0])
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}

/** The first index whose value is not below `limit`, in ascending values. */
function firstAbove(values: Float64Array, limit: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((values[middle] ?? 0) < limit) low = middle + 1
    else high = middle
  }
  return low
}
