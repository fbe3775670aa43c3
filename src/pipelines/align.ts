// How one frame lies on another, found from their stars: triangles of bright stars that have the same three sides in
// both vote for which star is which (Groth 1986, AJ 91, 1244; Valdes et al. 1995, PASP 107, 1119), the votes propose a
// shift and a rotation, and all stars refine it. Sides are compared in pixels, not as ratios: frames of one detector
// have one scale, and that tells far more apart.

import { createGrid, type Point } from './grid.ts'
import { matchTriangles, type Pair } from './triangles.ts'

/** Stars that make triangles: 40 make 9 880, and even with half of them missing in the other frame 1 140 remain. */
const BRIGHT = 40
/** Stars that refine and are matched: beyond the brightest 80, places get worse, not better. */
const REFINE = 80
/** How far the places of one star may differ, pixels; the second is for shallow frames with stars many pixels wide. */
const TOLERANCES = [1.5, 4]
/**
 * The share of the stars in the common area that must match. Two fields matched by chance share about one in a hundred.
 */
const MATCHED_SHARE_MIN = 0.35
const MATCHED_MIN = 4

/**
 * Takes a place on the reference to the place of the same star on the frame: x′ = cos x − sin y + dx, y′ = sin x + cos
 * y + dy. Pixels.
 */
export interface Transform {
  readonly cos: number
  readonly sin: number
  readonly dx: number
  readonly dy: number
}

export const IDENTITY: Transform = { cos: 1, sin: 0, dx: 0, dy: 0 }

export interface Alignment {
  readonly transform: Transform
  /** Stars found in both. */
  readonly matched: number
  /** Root mean square distance of matched stars along one axis after aligning, pixels. */
  readonly residual: number
  /** Index into the reference's and the frame's stars. */
  readonly pairs: readonly Pair[]
}

export interface Field {
  /** Brightest first. */
  readonly stars: readonly Point[]
  readonly width: number
  readonly height: number
}

/** The alignment of `frame` on `reference`, or null where they do not show the same stars. */
export function align(reference: Field, frame: Field): Alignment | null {
  for (const tolerance of TOLERANCES) {
    const proposed = propose(reference.stars.slice(0, BRIGHT), frame.stars.slice(0, BRIGHT), tolerance)
    const refined = proposed === null ? null : refine(reference, frame, proposed, tolerance)
    if (refined !== null) return refined
  }
  return null
}

export function applyTransform({ cos, sin, dx, dy }: Transform, { x, y }: Point): Point {
  return { x: cos * x - sin * y + dx, y: sin * x + cos * y + dy }
}

/** Of all transforms by two of the best-voted pairs, the one under which most bright stars fall on stars. */
function propose(reference: readonly Point[], frame: readonly Point[], tolerance: number): Transform | null {
  const pairs = matchTriangles(reference, frame, tolerance)
  const grid = gridOf(frame, 2 * tolerance)
  let best: { transform: Transform; hits: number } | null = null
  for (const [i, first] of pairs.entries()) {
    for (const second of pairs.slice(i + 1)) {
      const transform = fitRigid([first, second], reference, frame)
      if (transform === null || first.reference === second.reference || first.frame === second.frame) continue
      const hits = reference.filter(
        star => nearest(grid, applyTransform(transform, star), 2 * tolerance) !== undefined,
      ).length
      if (best === null || hits > best.hits) best = { transform, hits }
    }
  }
  return best === null || best.hits < 3 ? null : best.transform
}

/** Matches all stars under the transform, fits it again, and narrows the match as the fit gets better. */
function refine(reference: Field, frame: Field, proposed: Transform, tolerance: number): Alignment | null {
  const [stars, others] = [reference.stars.slice(0, REFINE), frame.stars.slice(0, REFINE)]
  const grid = gridOf(others, 2 * tolerance)
  let transform = proposed
  let reach = 2 * tolerance
  let alignment: Alignment | null = null
  // Six rounds: the match has settled after three or four.
  for (let round = 0; round < 6; round++) {
    const pairs = matchStars(stars, grid, transform, reach)
    const next = fitRigid(pairs, stars, others)
    if (next === null || pairs.length < 3) return null
    transform = next
    const residual = residualOf(pairs, stars, others, transform)
    alignment = {
      transform,
      matched: pairs.length,
      residual,
      pairs: pairs.map(({ reference, frame }) => ({ reference, frame })),
    }
    // Three σ in either direction, yet never so narrow that rounding decides.
    reach = Math.min(reach, Math.max(0.3, 3 * Math.SQRT2 * residual))
  }
  const common = Math.min(inside(stars, transform, frame), inside(others, inverse(transform), reference))
  return alignment !== null &&
    alignment.matched >= Math.max(Math.min(MATCHED_MIN, common), 3, MATCHED_SHARE_MIN * common)
    ? alignment
    : null
}

/** How many stars the transform brings onto a detector of that size. */
function inside(stars: readonly Point[], transform: Transform, { width, height }: Field): number {
  return stars.filter(star => {
    const { x, y } = applyTransform(transform, star)
    return x >= 0 && y >= 0 && x < width && y < height
  }).length
}

function inverse({ cos, sin, dx, dy }: Transform): Transform {
  return { cos, sin: -sin, dx: -(cos * dx + sin * dy), dy: sin * dx - cos * dy }
}

interface Indexed extends Point {
  readonly index: number
}

type IndexedGrid = ReturnType<typeof createGrid<Indexed>>

function gridOf(stars: readonly Point[], reach: number): IndexedGrid {
  const grid = createGrid<Indexed>(Math.max(1, reach))
  for (const [index, { x, y }] of stars.entries()) grid.add({ x, y, index })
  return grid
}

function nearest(grid: IndexedGrid, { x, y }: Point, reach: number): Indexed | undefined {
  let best: Indexed | undefined
  let least = Number.POSITIVE_INFINITY
  for (const star of grid.near(x, y, reach)) {
    const distance = Math.hypot(star.x - x, star.y - y)
    if (distance < least) [best, least] = [star, distance]
  }
  return best
}

/**
 * Every reference star with the frame's star nearest to where it should be; a frame's star is given once, to the
 * brightest.
 */
function matchStars(stars: readonly Point[], grid: IndexedGrid, transform: Transform, reach: number): Pair[] {
  const taken = new Set<number>()
  const pairs: Pair[] = []
  for (const [reference, star] of stars.entries()) {
    const other = nearest(grid, applyTransform(transform, star), reach)
    if (other === undefined || taken.has(other.index)) continue
    taken.add(other.index)
    pairs.push({ reference, frame: other.index })
  }
  return pairs
}

/**
 * The least-squares rotation and shift of matched stars (Kabsch in two dimensions); null where they do not fix a
 * rotation.
 */
function fitRigid(pairs: readonly Pair[], stars: readonly Point[], others: readonly Point[]): Transform | null {
  const matched = pairs.flatMap(({ reference, frame }) => {
    const [from, to] = [stars[reference], others[frame]]
    return from === undefined || to === undefined ? [] : [{ from, to }]
  })
  const mean = (pick: (pair: { from: Point; to: Point }) => number): number =>
    matched.reduce((sum, pair) => sum + pick(pair), 0) / matched.length
  const [fx, fy, tx, ty] = [mean(p => p.from.x), mean(p => p.from.y), mean(p => p.to.x), mean(p => p.to.y)]
  let [dot, cross] = [0, 0]
  for (const { from, to } of matched) {
    dot += (from.x - fx) * (to.x - tx) + (from.y - fy) * (to.y - ty)
    cross += (from.x - fx) * (to.y - ty) - (from.y - fy) * (to.x - tx)
  }
  const length = Math.hypot(dot, cross)
  if (!(length > 0)) return null
  const [cos, sin] = [dot / length, cross / length]
  return { cos, sin, dx: tx - cos * fx + sin * fy, dy: ty - sin * fx - cos * fy }
}

function residualOf(
  pairs: readonly Pair[],
  stars: readonly Point[],
  others: readonly Point[],
  transform: Transform,
): number {
  let squares = 0
  for (const { reference, frame } of pairs) {
    const [from, to] = [stars[reference], others[frame]]
    if (from === undefined || to === undefined) continue
    const place = applyTransform(transform, from)
    squares += (place.x - to.x) ** 2 + (place.y - to.y) ** 2
  }
  return Math.sqrt(squares / (2 * pairs.length))
}
