/**
 * The detectors of an exposure as they lie beside each other: LSSTCam's focal plane where it is one, else a grid. And
 * which jobs worked on which detector.
 */
import { compareExposures } from '../../machines/domain/dataId.ts'
import type { JobRecord, Night } from './night.ts'

/** An exposure whose detectors are processed one by one. */
export interface DetectorExposure {
  readonly obsid: string
  readonly instrument: string
  /** Pipeline → detector → the newest job over it. */
  readonly pipelines: ReadonlyMap<string, ReadonlyMap<number, JobRecord>>
}

/** A detector's place, in detector widths from the upper left corner. */
export interface Place {
  readonly detector: number
  /** As the camera calls it, such as R22_S11; '' where that is not known. */
  readonly name: string
  readonly x: number
  readonly y: number
}

export interface Plane {
  readonly width: number
  readonly height: number
  readonly places: readonly Place[]
}

/** Those with detectors, what was observed last first. */
export function detectorExposures(night: Night): readonly DetectorExposure[] {
  const exposures = new Map<string, { instrument: string; pipelines: Map<string, Map<number, JobRecord>> }>()
  for (const job of night.jobs.values()) {
    const { obsid, detector, instrument } = job.context.dataId
    if (obsid === null || detector === null) continue
    const exposure = exposures.get(obsid) ?? { instrument, pipelines: new Map() }
    exposures.set(obsid, exposure)
    const { name } = job.context.pipeline
    const detectors = exposure.pipelines.get(name) ?? new Map<number, JobRecord>()
    exposure.pipelines.set(name, detectors.set(detector, job))
  }
  return [...exposures]
    .map(([obsid, exposure]) => ({ obsid, ...exposure }))
    .reverse()
    .sort((one, other) => compareExposures(other.obsid, one.obsid))
}

/** Where the detectors lie, also those of the camera that have no job. */
export function planeOf(instrument: string, detectors: readonly number[]): Plane {
  const isLsstCam = instrument === 'LSSTCam' || new Set(detectors).size >= SCIENCE_DETECTORS
  return isLsstCam && detectors.every(detector => LSSTCAM.some(one => one.detector === detector))
    ? { width: LSSTCAM_WIDTH, height: LSSTCAM_WIDTH, places: placesWith(detectors) }
    : gridOf(detectors)
}

/** As near to a square as whole rows allow, in the order of their numbers. */
function gridOf(detectors: readonly number[]): Plane {
  const sorted = [...new Set(detectors)].sort((a, b) => a - b)
  const width = Math.max(1, Math.ceil(Math.sqrt(sorted.length)))
  const places = sorted.map((detector, index) => ({
    detector,
    name: '',
    x: index % width,
    y: Math.floor(index / width),
  }))
  return { width, height: Math.max(1, Math.ceil(sorted.length / width)), places }
}

const SCIENCE_DETECTORS = 189
const RAFT_GAP = 0.25
const LSSTCAM_WIDTH = 5 * 3 + 4 * RAFT_GAP

// Rafts in the order of their detectors' numbers (obs_lsst, policy/lsstCam). The first digit counts rows from below,
// the second columns.
const RAFTS = '01 02 03 10 11 12 13 14 20 21 22 23 24 30 31 32 33 34 41 42 43'.split(' ')
const CORNERS = '00 04 40 44'.split(' ')
const LSSTCAM: readonly Place[] = [
  ...RAFTS.flatMap((raft, at) =>
    Array.from({ length: 9 }, (_, sensor) => {
      const [row, column] = [Math.floor(sensor / 3), sensor % 3]
      return placed(raft, `S${row}${column}`, at * 9 + sensor, column, row)
    }),
  ),
  // Guiders and wavefront sensors.
  ...CORNERS.flatMap((raft, at) =>
    ['SG0', 'SG1', 'SW0', 'SW1'].map((sensor, index) =>
      placed(raft, sensor, SCIENCE_DETECTORS + at * 4 + index, 0.5 + (index % 2), 0.5 + Math.floor(index / 2)),
    ),
  ),
]

function placed(raft: string, sensor: string, detector: number, column: number, row: number): Place {
  const [raftRow = 0, raftColumn = 0] = raft.split('').map(Number)
  return {
    detector,
    name: `R${raft}_${sensor}`,
    x: raftColumn * (3 + RAFT_GAP) + column,
    y: (4 - raftRow) * (3 + RAFT_GAP) + 2 - row,
  }
}

/** The science detectors always, those in the corners where they are processed. */
function placesWith(detectors: readonly number[]): readonly Place[] {
  const there = new Set(detectors)
  return LSSTCAM.filter(({ detector }) => detector < SCIENCE_DETECTORS || there.has(detector))
}
