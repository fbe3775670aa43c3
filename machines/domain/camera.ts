import type { DataId } from './dataId.ts'

/**
 * Which detectors a camera has. The OODS names a raft and a sensor, commands and the Butler name a number; this is what
 * turns one into the other, and says which detectors must be in before an exposure is whole.
 */
export interface Camera {
  /** For people: a built-in name, or how many sensors a site's own map names. */
  readonly name: string
  /** `R22_S11` → the detector's number. Two names may stand for one detector. */
  readonly detectors: Readonly<Record<string, number>>
  /** An exposure is ready when these are in. */
  readonly expected: readonly number[]
}

/** One file the OODS has ingested, as it names it. */
export interface IngestedImage {
  readonly obsid: string
  readonly raft: string
  readonly sensor: string
}

export const CAMERA_NAMES = ['LATISS', 'LSSTComCam', 'LSSTCam'] as const

export type CameraName = (typeof CAMERA_NAMES)[number]

const SENSORS = ['S00', 'S01', 'S02', 'S10', 'S11', 'S12', 'S20', 'S21', 'S22']

// The 21 science rafts in the order of obs_lsst. Corner rafts carry guiders and wavefront sensors, which no exposure
// waits for.
const SCIENCE_RAFTS = ['01 02 03', '10 11 12 13 14', '20 21 22 23 24', '30 31 32 33 34', '41 42 43']
  .flatMap(row => row.split(' '))
  .map(raft => `R${raft}`)

const DETECTORS: Readonly<Record<CameraName, Readonly<Record<string, number>>>> = {
  // Its only sensor is called R00 S00 by the OODS and RXX_S00 by the Butler.
  LATISS: { R00_S00: 0, RXX_S00: 0 },
  LSSTComCam: numbered(['R22']),
  LSSTCam: numbered(SCIENCE_RAFTS),
}

/** A camera that is known without a map, all of its science detectors expected. */
export function builtIn(name: CameraName): Camera {
  const detectors = DETECTORS[name]
  return { name, detectors, expected: [...new Set(Object.values(detectors))] }
}

/** `R22_S11`: how a raft and a sensor name a detector together. */
export function sensorName({ raft, sensor }: Pick<IngestedImage, 'raft' | 'sensor'>): string {
  return `${raft}_${sensor}`
}

export function detectorOf({ detectors }: Camera, image: IngestedImage): number | null {
  const name = sensorName(image)
  return Object.hasOwn(detectors, name) ? (detectors[name] ?? null) : null
}

/** Which detectors a job needs: its own, or all that are expected of the exposure. */
export function detectorsNeeded({ expected }: Camera, { detector }: DataId): readonly number[] {
  return detector === null ? expected : [detector]
}

function numbered(rafts: readonly string[]): Record<string, number> {
  const names = rafts.flatMap(raft => SENSORS.map(sensor => `${raft}_${sensor}`))
  return Object.fromEntries(names.map((name, number) => [name, number]))
}
