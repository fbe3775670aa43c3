import { z } from 'zod'
import type { ShelfItem } from '../../machines/domain/messages.ts'
import type { RequestedWork, Work } from '../../machines/domain/work.ts'
import { exactly } from './exactly.ts'
import {
  detector,
  DETECTORS_MAX,
  fileName,
  group,
  instrument,
  milliseconds,
  obsid,
  overrides,
  pipeline,
  seconds,
  version,
} from './fields.ts'
import { dataId } from './shapes.ts'

/**
 * What a job is to do, on the wire: as fields of the command that asks for it, read and written, and as the shelf says
 * it. A new field is told here, in machines/domain/work.ts and where it is used.
 */
export const requestedWork = {
  dataId: z
    .strictObject({
      instrument: instrument.optional(),
      obsid: obsid.optional(),
      group: group.optional(),
      detector: z
        .union([
          detector,
          z
            .array(detector)
            .min(1, 'a list of detectors must name at least one; leave detector out for the whole exposure')
            .max(DETECTORS_MAX),
        ])
        .optional()
        .describe('One detector, or a list: one job for each'),
    })
    .describe(
      '`obsid`, perhaps with `detector` (a number, or a list: one job for each); or `group`: close it and combine it, with one `detector` only that detector’s data. `instrument` unless it is the configured one',
    ),
  pipeline: pipeline.describe('The pipeline, one of the applied configuration'),
  overrides: overrides.optional().describe('Settings that the pipeline allows to be set'),
  configFile: fileName.optional().describe('A file that the pipeline allows to be named'),
  version: version.optional().describe('The software version to run, such as `w_2026_46`'),
  priority: z.int().min(-9).max(9).optional().describe('Higher runs sooner; 0 unless given'),
  readiness: z
    .union([z.enum(['runNow', 'skip']), z.strictObject({ waitFor: seconds })])
    .optional()
    .describe('Whether the data must be ingested: `runNow`, `skip` if they are not, or `{waitFor: seconds}`'),
  timeLimit: seconds.optional().describe('Seconds; the pipeline’s own unless given'),
}

type Requested = z.output<z.ZodObject<typeof requestedWork>>

/** Read, and complete. `instance` is the instrument and `group` the group, unless the work names one. */
export function requestedWorkOf(
  work: Requested,
  otherwise: { readonly instance: string; readonly group: string | null },
): RequestedWork {
  const { dataId: of, readiness } = work
  const detectors = of.detector === undefined ? [] : Array.isArray(of.detector) ? of.detector : [of.detector]
  return {
    dataId: {
      instrument: of.instrument ?? otherwise.instance,
      obsid: of.obsid ?? null,
      group: of.group ?? otherwise.group,
    },
    detectors,
    pipeline: work.pipeline,
    overrides: work.overrides ?? {},
    configFile: work.configFile ?? null,
    version: work.version ?? '',
    priority: work.priority ?? 0,
    readiness:
      typeof readiness === 'object'
        ? { policy: 'waitFor', waitMs: readiness.waitFor * 1000 }
        : { policy: readiness ?? 'runNow' },
    timeLimitMs: milliseconds(work.timeLimit),
  }
}

/** The inverse: as a client would send it, null where it would leave it out. */
export function requestedWorkBody(work: RequestedWork) {
  const { detectors, pipeline: by, configFile, priority, readiness, timeLimitMs } = work
  const { instrument: of, obsid: exposure, group: belongs } = work.dataId
  const isClosing = exposure === null
  return {
    dataId: {
      instrument: of,
      ...(isClosing ? { group: belongs } : { obsid: exposure }),
      ...(detectors.length > 0 && { detector: isClosing ? detectors[0] : detectors }),
    },
    pipeline: by,
    overrides: Object.keys(work.overrides).length === 0 ? null : work.overrides,
    configFile,
    version: work.version === '' ? null : work.version,
    priority: priority === 0 ? null : priority,
    readiness:
      readiness.policy === 'waitFor'
        ? { waitFor: readiness.waitMs / 1_000 }
        : readiness.policy === 'runNow'
          ? null
          : readiness.policy,
    timeLimit: timeLimitMs === null ? null : timeLimitMs / 1_000,
  }
}

/** As the shelf says it. */
export const shelvedWork = exactly<Pick<ShelfItem, keyof Work>>()(
  z.strictObject({
    dataId,
    pipeline: z.string(),
    overrides: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
    configFile: z.string().nullable(),
    version: z.string(),
    priority: z.int(),
    timeLimitMs: z.number(),
    readiness: z
      .union([
        z.strictObject({ policy: z.literal('runNow') }),
        z.strictObject({ policy: z.literal('waitFor'), waitMs: z.number() }),
        z.strictObject({ policy: z.literal('skip') }),
      ])
      .exactOptional()
      .describe('A retry waits for its data in the same way; absent for runNow of old'),
  }),
)
