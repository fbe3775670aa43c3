// What a simulated camera finds on its detector: a drawn sky, a little different with every exposure, or real frames
// from a directory, in order. Bytes of a FITS file in both cases; nothing is written here.

import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { PipelineFailure } from '../pipelines/failure.ts'
import { exposureTime } from '../pipelines/fits/image.ts'
import { readImage } from '../pipelines/fits/read.ts'
import { UserError } from '../userError.ts'
import { createRandom } from './random.ts'
import { type Exposure, renderExposure } from './sky.ts'
import type { TakeImage } from './topics.ts'

/** One exposure, as the camera knows it. */
export interface Shot extends TakeImage {
  readonly obsid: string
  /** YYYYMMDD */
  readonly dayObs: number
  readonly seqNum: number
  readonly instrument: string
  /** Milliseconds since 1970 UTC. */
  readonly begun: number
}

/** The bytes of a FITS file, plain or gzipped as a whole. */
export type FrameSource = (shot: Shot) => Promise<Uint8Array>

/** pixels; a frame is drawn, measured and stacked in well under a second each. */
const WIDTH = 960
const HEIGHT = 720
/** On the detector; the faintest are lost in a single exposure and found in the stack. */
const STARS = 1400
/** adu */
const PEDESTAL = 300
/** Seeing as sampled, pixels FWHM: a quiet night, a little different from minute to minute. */
const SEEING = { median: 2.9, scatter: 0.18, min: 2.3, max: 4.2 }
/** adu per second and pixel: moonlight, so that single exposures do not show all there is. */
const SKY = 150
/** How far the telescope is moved between exposures at most, pixels either way. */
const DITHER = 16

/**
 * A drawn sky: the same seed shows the same stars. Cards SIMFWHM (pix) and SIMSKY (adu) tell the truth to measure
 * against.
 */
export function simulatedFrames(seed: number): FrameSource {
  return shot => Promise.resolve(renderExposure(simulatedExposure(seed, shot)))
}

/** The settings of one exposure of that sky. */
export function simulatedExposure(seed: number, shot: Shot): Exposure {
  const random = createRandom(seed, `exposure ${shot.seqNum}`)
  const fwhm = Math.min(SEEING.max, Math.max(SEEING.min, SEEING.median + SEEING.scatter * random.normal()))
  const skyLevel = SKY * shot.exposureTime * (1 + 0.05 * random.normal())
  const shift = (): number => (shot.seqNum === 1 ? 0 : (2 * random.uniform() - 1) * DITHER)
  return {
    seed,
    exposureSeed: seed * 1000 + shot.seqNum,
    width: WIDTH,
    height: HEIGHT,
    starCount: STARS,
    exposureTime: shot.exposureTime,
    fwhm,
    skyLevel,
    pedestal: PEDESTAL,
    readNoise: 7,
    gain: 1.2,
    saturation: 60_000,
    cosmicRays: 12,
    dither: { dx: shift(), dy: shift() },
    header: {
      OBSID: shot.obsid,
      GROUPID: shot.groupId,
      INSTRUME: shot.instrument,
      IMGTYPE: shot.imageType ?? 'OBJECT',
      'DATE-OBS': new Date(shot.begun).toISOString().slice(0, -1),
      DAYOBS: String(shot.dayObs),
      SEQNUM: shot.seqNum,
      SIMFWHM: round(fwhm),
      SIMSKY: round(PEDESTAL + skyLevel),
    },
  }
}

const FRAME_NAME = /\.fits(\.gz)?$/iu

/** Paths of the frames in a directory, sorted by name. Throws UserError where there are none. */
export async function framesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    throw new UserError(
      `the frames in ${directory} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
  })
  const frames = names.filter(name => FRAME_NAME.test(name)).sort()
  if (frames.length === 0)
    throw new UserError(`${directory} holds no frames; files named *.fits or *.fits.gz are expected`)
  return frames.map(name => resolve(join(directory, name)))
}

/**
 * How long a real frame was exposed, by its header, seconds; undefined where it does not say, or is no frame at all.
 */
export function exposureTimeOf(path: string): number | undefined {
  try {
    return exposureTime(readImage(path).header)
  } catch (error) {
    // What is wrong with it is found, and said, by the pipeline.
    if (error instanceof PipelineFailure) return undefined
    throw error
  }
}

/** Real frames, one per exposure; after the last the first again. Their headers stay as they are. */
export function recordedFrames(paths: readonly string[]): FrameSource {
  return async ({ seqNum }) => {
    const path = paths[(seqNum - 1) % paths.length]
    if (path === undefined) throw new UserError('there are no frames to take')
    return await readFile(path)
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
