import { z } from 'zod'

/**
 * `imageInOODS` as ctrl_oods sends it (oods_csc.py): one event for each file, which names raft and sensor and never a
 * detector's number. Whatever else an event holds is passed over. The same schema serves who hears it, who imitates it,
 * and the documents for other languages.
 */
export interface ImageInOODS {
  /** Instrument; `UNDEF` when the file's metadata could not be read. */
  readonly camera: string
  /** After an ingest failure the numeric exposure id as text; `??` when the metadata could not be read. */
  readonly obsid: string
  /** e.g. R22 */
  readonly raft: string
  /** e.g. S11 */
  readonly sensor: string
  /** 0 ingested, 1 ingest failure, 2 metadata failure. */
  readonly statusCode: number
  readonly description: string
  /**
   * Not part of the SAL event; where it is given it says which detector, to sites without a camera in their
   * configuration.
   */
  readonly detector?: number | undefined
}

export const imageInOODS = z.object({
  camera: z.string().default('').describe('The instrument; UNDEF where the metadata could not be read'),
  obsid: z.string().max(128).describe('?? or a number where the file could not be read; it is nobody then'),
  raft: z.string().max(16).default('').describe('Such as R22'),
  sensor: z.string().max(16).default('').describe('Such as S11'),
  statusCode: z.int().describe('0 ingested, 1 ingest failure, 2 metadata failure'),
  description: z.string().default(''),
  detector: z.int().optional().describe('Not sent by ctrl_oods; heeded where the configuration names no camera'),
}) satisfies z.ZodType<ImageInOODS>

/** null: it is none. */
export function readImageInOODS(body: Uint8Array): ImageInOODS | null {
  try {
    return imageInOODS.parse(JSON.parse(new TextDecoder().decode(body)))
  } catch {
    return null
  }
}
