import { z } from 'zod'

/** What single fields of commands may hold. */

// obs_ids are letters, digits, _ and - (obs_lsst translators/lsst.py); nothing else may reach a path, an argv or a
// query.
export const obsid = named(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  'an obsid like AT_O_20261122_000017: 1 to 64 letters, digits, _ or -',
)
export const instrument = named(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/,
  'an instrument name: 1 to 32 letters, digits, _ or -',
)
// The Butler's dimension group is a string of at most 64; ScriptQueue's ids hold : . - and #.
export const group = named(
  /^[A-Za-z0-9][A-Za-z0-9_:.#+-]{0,63}$/,
  'a group id like 2026-11-22T22:59:05.721#1: 1 to 64 letters, digits or _ : . # + -',
)
export const pipeline = named(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  'the name of a pipeline: 1 to 64 letters, digits, _ or -',
)
export const jobId = named(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, 'a job id as OCPS gave it')
export const fileName = named(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'a plain file name without a path')

// LSSTCam has 205 detectors; a list of more than a thousand is a mistake, not a camera.
export const DETECTORS_MAX = 1_000
const DETECTOR_MAX = 9_999
export const detector = z.int().min(0).max(DETECTOR_MAX)

// The longest groups are calibrations of some hundred exposures.
export const MEMBERS_MAX = 1_000
// A script waits for a handful of jobs, or for one exposure's detectors.
export const PREREQUISITES_MAX = 1_000
const OVERRIDES_MAX = 64
// A day: longer than any night, shorter than setTimeout's 24.8 days.
const SECONDS_MAX = 86_400

export const seconds = z.number().positive().max(SECONDS_MAX)
export const policy = z.enum(['partial', 'skip', 'fail'])

export const overrides = z
  .record(
    z.string().regex(/^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/),
    z.union([z.number(), z.string().max(1_000), z.boolean()]),
  )
  .refine(all => Object.keys(all).length <= OVERRIDES_MAX, `at most ${OVERRIDES_MAX} overrides are allowed`)
export const version = z.string().regex(/^[A-Za-z0-9_.:/+-]{0,128}$/, 'a version like w_2026_46')

export function milliseconds(value: number | undefined): number | null {
  return value === undefined ? null : value * 1000
}

function named(pattern: RegExp, what: string) {
  return z.string().regex(pattern, `expected ${what}`)
}
