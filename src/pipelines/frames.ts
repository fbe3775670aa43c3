// The frames of a stack: read, aligned on the one that fits most others, scaled to it. Says of every frame whether it
// goes in and why not; combining is left to others.

import { readFileSync } from 'node:fs'
import { type Alignment, align, applyTransform, IDENTITY, type Transform } from './align.ts'
import { analyse, type AnalyseOptions } from './analyse.ts'
import { type CatalogueStar, readCatalogue } from './catalogue.ts'
import { PipelineFailure, reasonOf } from './failure.ts'
import type { Image } from './fits/image.ts'
import { readImage } from './fits/read.ts'
import type { Member } from './members.ts'
import { median } from './statistics.ts'

/** Frames tried as the reference: a stray frame may well have the most stars, three strays hardly. */
const REFERENCES_MAX = 3
/** A flux ratio beyond this is a wrong match or a frame through thick cloud, no use to a stack. */
const SCALE_MAX = 5

export interface Listed {
  readonly member: Member
  readonly stars: readonly CatalogueStar[]
}

/** A frame and how it lies on the reference; `why` it stays out, or null where it goes in. */
export interface Placed extends Listed {
  readonly transform: Transform
  readonly matched: number
  /** Of the matched stars along one axis, pixels. */
  readonly residual: number
  /** What the frame's values are multiplied by to be as bright as the reference's. */
  readonly scale: number
  readonly why: string | null
}

export interface Placement {
  readonly reference: Listed
  readonly frames: readonly Placed[]
}

/**
 * Reads the stars of the members, or finds those of one without a catalogue; one that cannot be read is returned with
 * its reason.
 */
export function listFrames(
  members: readonly Member[],
  settings: AnalyseOptions,
): {
  listed: Listed[]
  unreadable: { name: string; why: string }[]
} {
  const listed: Listed[] = []
  const unreadable: { name: string; why: string }[] = []
  for (const member of members) {
    try {
      listed.push({ member, stars: starsOf(member, settings) })
    } catch (error) {
      unreadable.push({ name: member.name, why: reasonOf(error) })
    }
  }
  return { listed, unreadable }
}

function starsOf({ input, catalogue }: Member, settings: AnalyseOptions): readonly CatalogueStar[] {
  return catalogue === null
    ? analyse(readImage(input), settings).stars
    : readCatalogue(readFileSync(catalogue, 'utf8'), catalogue)
}

/** Places all frames on the reference that most of them align with. `size`: of the frames, pixels. */
export function placeFrames(listed: readonly Listed[], size: { width: number; height: number }): Placement {
  const candidates = [...listed].sort((a, b) => b.stars.length - a.stars.length).slice(0, REFERENCES_MAX)
  let best: { placement: Placement; used: number } | null = null
  for (const reference of candidates) {
    const frames = listed.map(frame => place(frame, reference, size))
    const used = frames.filter(frame => frame.why === null).length
    if (best === null || used > best.used) best = { placement: { reference, frames }, used }
    // More than half agree: no other reference can tell another story.
    if (2 * used > listed.length) break
  }
  if (best === null)
    throw new PipelineFailure('No frame to stack: no member succeeded with an input frame and a star catalogue.')
  return best.placement
}

/** The frame's image, or why it cannot go into a stack of that size. */
export function readFrame(member: Member, size: { width: number; height: number } | null): Image | string {
  try {
    const image = readImage(member.input)
    if (size === null || (image.width === size.width && image.height === size.height)) return image
    return `${image.width} × ${image.height} pixels where the reference has ${size.width} × ${size.height}`
  } catch (error) {
    if (error instanceof PipelineFailure) return error.message
    throw error
  }
}

/**
 * The shift and rotation of a frame's stars against the reference at the middle of the detector: pixels and degrees.
 */
export function describeTransform(transform: Transform, { width, height }: { width: number; height: number }) {
  const centre = { x: (width - 1) / 2, y: (height - 1) / 2 }
  const moved = applyTransform(transform, centre)
  return {
    dx: moved.x - centre.x,
    dy: moved.y - centre.y,
    rotation: (Math.atan2(transform.sin, transform.cos) * 180) / Math.PI,
  }
}

function place(frame: Listed, reference: Listed, size: { width: number; height: number }): Placed {
  if (frame === reference)
    return { ...frame, transform: IDENTITY, matched: frame.stars.length, residual: 0, scale: 1, why: null }
  const alignment = align({ stars: reference.stars, ...size }, { stars: frame.stars, ...size })
  const out = { ...frame, transform: IDENTITY, matched: 0, residual: Number.NaN, scale: 1 }
  if (alignment === null)
    return { ...out, why: `its ${frame.stars.length} stars do not match the reference's ${reference.stars.length}` }
  const { transform, matched, residual } = alignment
  const scale = fluxRatio(alignment, reference.stars, frame.stars)
  const why = scale > SCALE_MAX ? `its stars are ${scale.toFixed(1)} times fainter than the reference's` : null
  return { ...frame, transform, matched, residual, scale, why }
}

/** How much brighter the reference's stars are: the median over the brighter half of the matched, unsaturated ones. */
function fluxRatio({ pairs }: Alignment, reference: readonly CatalogueStar[], frame: readonly CatalogueStar[]): number {
  const ratios = pairs.flatMap(pair => {
    const [ours, theirs] = [reference[pair.reference], frame[pair.frame]]
    const usable = ours !== undefined && theirs !== undefined && !ours.saturated && !theirs.saturated
    return usable && ours.flux > 0 && theirs.flux > 0 ? [ours.flux / theirs.flux] : []
  })
  return ratios.length < 3 ? 1 : median(ratios.slice(0, Math.max(3, Math.ceil(ratios.length / 2))))
}
