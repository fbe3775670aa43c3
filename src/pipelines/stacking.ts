// From members to one deeper image: choose, align, resample, scale, combine. Every member ends in exactly one of `used`
// and `leftOut`, the latter with its reason. Writes and reports nothing; stack.ts does.

import { type AnalyseOptions, gainOf } from './analyse.ts'
import { estimateBackground } from './background.ts'
import { combine, type Layer } from './combine.ts'
import { PipelineFailure } from './failure.ts'
import type { CardValue, Header } from './fits/header.ts'
import { exposureTime, type Image } from './fits/image.ts'
import { type Listed, listFrames, type Placed, placeFrames, readFrame } from './frames.ts'
import type { Members } from './members.ts'
import { resample } from './resample.ts'
import { median } from './statistics.ts'

/**
 * Pixels held at once over all frames, 1.2 GB as float32: 200 frames of 1.4 Mpix or 17 of 4k × 4k. Frames beyond stay
 * out, named.
 */
const PIXELS_MAX = 300_000_000

export interface LeftOut {
  readonly name: string
  readonly why: string
}

export interface Stack {
  /** The combined frame on the reference's pixels, with the typical background added back, adu. */
  readonly image: Image
  /** The cards for its file. */
  readonly cards: readonly (readonly [string, CardValue])[]
  readonly reference: string
  readonly used: readonly Placed[]
  readonly leftOut: readonly LeftOut[]
  /** Typical noise of one frame as it went in, adu. */
  readonly singleNoise: number
  /** Summed over the used frames, seconds; 0 where unknown. */
  readonly exposureTime: number
  /** Values rejected as cosmic rays and the like, over all used frames. */
  readonly rejectedValues: number
}

/**
 * Stacks a group; `settings` find the stars of frames without a catalogue. `tell` hears how far it is (0…1) and who is
 * left out. Throws PipelineFailure (exit 3) where no frame can be used.
 */
export function stackGroup(
  members: Members,
  settings: AnalyseOptions,
  tell: (fraction: number, note: string) => void,
): Stack {
  const leftOut: LeftOut[] = []
  const leave = (fraction: number, name: string, why: string): void => {
    leftOut.push({ name, why })
    tell(fraction, `left out: ${name} (${why})`)
  }
  for (const { name, why } of members.unusable) leave(0, name, why)
  const { listed, unreadable } = listFrames(members.usable, settings)
  for (const { name, why } of unreadable) leave(0, name, why)
  const size = sizeOf(listed, members)
  const { reference, frames } = placeFrames(listed, size)
  tell(0.2, `aligned ${frames.length} frames on ${reference.member.name}`)

  const used: Placed[] = []
  const layers: Layer[] = []
  const images: Pick<Image, 'header'>[] = []
  const levels: number[] = []
  for (const [index, frame] of frames.entries()) {
    const fraction = 0.2 + (0.5 * index) / frames.length
    const full = (layers.length + 1) * size.width * size.height > PIXELS_MAX
    const image = frame.why ?? (full ? `the stack holds ${PIXELS_MAX} pixels already` : readFrame(frame.member, size))
    if (typeof image === 'string') {
      leave(fraction, frame.member.name, image)
      continue
    }
    const { layer, level } = layerOf(image, frame)
    used.push(frame)
    layers.push(layer)
    levels.push(level)
    images.push({ header: image.header })
  }
  if (layers.length === 0) throw nothingToStack(members)

  tell(0.7, `combining ${layers.length} frames`)
  const header: Header =
    images[
      Math.max(
        0,
        used.findIndex(frame => frame.member === reference.member),
      )
    ]?.header ?? new Map()
  const gain = gainOf({ header })
  const { pixels, rejected } = combine(layers, gain)
  const sky = median(levels)
  const total = images.reduce((sum, image) => sum + (exposureTime(image.header) ?? 0), 0)
  const cards = cardsOf(members.group, reference.member.name, header, { frames: used.length, gain, total })
  return {
    image: { ...size, pixels: pixels.map(value => value + sky), header: new Map(cards), quantum: 0, bitpix: -32 },
    cards,
    reference: reference.member.name,
    used,
    leftOut,
    singleNoise: median(layers.map(layer => layer.noise)),
    exposureTime: total,
    rejectedValues: rejected,
  }
}

/**
 * All frames of a detector have one size: that of the first that can be read. One of another size is left out later,
 * named.
 */
function sizeOf(listed: readonly Listed[], members: Members): { width: number; height: number } {
  for (const { member } of listed) {
    const image = readFrame(member, null)
    if (typeof image !== 'string') return { width: image.width, height: image.height }
  }
  throw nothingToStack(members)
}

/**
 * A frame as it goes into the stack. Only its overall background is taken off, not the mesh: the light of a cluster or
 * a nebula is signal here.
 */
function layerOf(image: Image, { transform, scale }: Placed): { layer: Layer; level: number } {
  const { width, height } = image
  const { level } = estimateBackground(image)
  const pixels = resample(
    image.pixels.map(value => (value - level) * scale),
    width,
    height,
    transform,
  )
  // The noise after resampling: what the combination will average, and what the gain in depth is measured against.
  const { noise } = estimateBackground({ ...image, pixels, quantum: 0 })
  return { layer: { pixels, noise }, level }
}

function cardsOf(
  group: string,
  reference: string,
  header: Header,
  { frames, gain, total }: { frames: number; gain: number; total: number },
): [string, CardValue][] {
  const seconds = exposureTime(header)
  const cards: [string, CardValue][] = [
    ['BUNIT', 'adu'],
    ['NCOMBINE', frames],
    ['EGAIN', gain * frames],
    ['TOTEXP', total],
    ['GROUPID', group],
    ['REFFRAME', reference],
  ]
  if (seconds !== undefined) cards.unshift(['EXPTIME', seconds])
  return cards
}

function nothingToStack({ path, usable, unusable }: Members): PipelineFailure {
  const count = usable.length + unusable.length
  return new PipelineFailure(
    `${path}: nothing to stack: of the group's ${count} member${count === 1 ? '' : 's'} none succeeded with a readable frame and a star catalogue.`,
  )
}
