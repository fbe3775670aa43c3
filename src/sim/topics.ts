// What the simulated camera and OODS say, and the one question the camera answers: the field names of ts_xml's
// CCCamera/ATCamera startIntegration and endReadout, as JSON; imageInOODS is contract/oods.ts's, the subjects of the
// events contract/subjects.ts's.

import { z } from 'zod'

/**
 * Asks a simulated camera for one exposure; the answer is a TakeImageAnswer. A real camera is commanded over its own
 * middleware.
 */
export const takeImageSubject = (cameraName: string): string => `camera.${cameraName}.cmd.takeImage`

/** An hour: longer than any exposure, shorter than a mistake in units. */
const EXPOSURE_TIME_MAX = 3600

export const takeImageSchema = z.strictObject({
  exposureTime: z.number().min(0).max(EXPOSURE_TIME_MAX).describe('seconds'),
  groupId: z.string().min(1).max(64),
  imageType: z.string().max(32).optional(),
})
export type TakeImage = z.infer<typeof takeImageSchema>

/** Sent when integration has begun, so that the script knows which image to wait for; or why there will be none. */
export const takeImageAnswerSchema = z.union([z.object({ imageName: z.string() }), z.object({ error: z.string() })])
export type TakeImageAnswer = z.infer<typeof takeImageAnswerSchema>

interface ImageEvent {
  /** The obsid, e.g. `AT_O_20261122_000017`. */
  readonly imageName: string
  readonly imageSource: string
  readonly imageController: string
  /** dayObs, as text. */
  readonly imageDate: string
  /** seqNum */
  readonly imageNumber: number
  /** TAI seconds since 1970. */
  readonly timestampAcquisitionStart: number
  /** Names of what the command brought along, and below their values; see joinFields. */
  readonly additionalKeys: string
  readonly additionalValues: string
}

export interface StartIntegration extends ImageEvent {
  /** seconds */
  readonly exposureTime: number
}

export interface EndReadout extends ImageEvent {
  /** seconds */
  readonly requestedExposureTime: number
  /** TAI seconds since 1970. */
  readonly timestampEndOfReadout: number
}

/** What the simulated OODS needs of an endReadout. */
export const endReadoutSchema = z.object({ imageName: z.string() })

/** TAI − UTC since 2017; no leap second has been announced since. */
const TAI_MINUS_UTC_S = 37

/** TAI seconds since 1970, as SAL's timestamps are. */
export function taiSeconds(utcMs: number): number {
  return utcMs / 1000 + TAI_MINUS_UTC_S
}

/**
 * Lists travel in one text, divided by colons. A group id holds colons itself, so a colon within a value is written
 * `\:` and a backslash `\\`; splitFields undoes it.
 */
export function joinFields(values: readonly string[]): string {
  return values.map(value => value.replaceAll(/[\\:]/gu, character => `\\${character}`)).join(':')
}

/** The values of a text made by joinFields; '' holds none. */
export function splitFields(text: string): string[] {
  if (text === '') return []
  const values = ['']
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (character === ':') values.push('')
    else values[values.length - 1] += character === '\\' ? (text[++at] ?? '') : character
  }
  return values
}
