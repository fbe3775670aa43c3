import { z } from 'zod'
import { CAMERA_NAMES } from '../../machines/domain/camera.ts'
import { isKept } from '../../machines/domain/passEnv.ts'

/**
 * The configuration's files, key by key: what `_init.yaml`, the site's layer and an override may hold, and what a
 * pipeline's entry may hold. Times are seconds in the files and milliseconds inside. Unknown keys are refused, so that
 * a misspelt one is found.
 */

const detectorNumber = z.int().min(0).max(9_999)

/** What maps the raft and sensor of an ingest event to a detector. */
export const cameraSchema = z.union([
  z.enum(CAMERA_NAMES),
  z.strictObject({
    detectors: z
      .union([
        z.enum(CAMERA_NAMES),
        z
          .record(
            z.string().regex(/^[A-Za-z0-9]{1,15}_[A-Za-z0-9]{1,15}$/, 'expected raft and sensor, such as R22_S11'),
            detectorNumber,
          )
          .refine(map => Object.keys(map).length > 0, 'expected at least one sensor'),
      ])
      .describe('A camera by name, or `R22_S11: 94` for each sensor'),
    expected: z.array(detectorNumber).min(1).optional().describe('Which detectors an exposure has; all unless given'),
    without: z.array(detectorNumber).optional().describe('Detectors that are not waited for'),
  }),
])

// A day; and the bound of setTimeout is 24.8 days.
const SECONDS_MAX = 86_400
// A view for each of LSSTCam's 205 detectors and some more; every dataset is held against all of them.
const INTERESTS_MAX = 256
const seconds = z.number().positive().max(SECONDS_MAX)
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'expected 1 to 64 letters, digits, _ or -')
// No machine runs more at a time.
const SLOTS_MAX = 10_000
// A prefix with all its options; a program that needs more has a script.
const PREFIX_MAX = 100

export const configurationSchema = z
  .strictObject({
    instrument: name.optional().describe('The instrument of a dataId that names none; the instance unless given'),
    mode: z
      .enum(['async', 'sync'])
      .describe('async: a command is complete once accepted. sync: when its processing is, one at a time'),
    slots: z
      .int()
      .min(1)
      .max(SLOTS_MAX)
      .describe('How many slots there are; a job takes as many as its pipeline says, and no pipeline may say more'),
    pools: z
      .record(
        name,
        z.strictObject({
          slots: z.int().min(1).max(SLOTS_MAX).describe('How many slots it has'),
          runner: z
            .union([z.literal('none'), z.strictObject({ prefix: z.array(z.string().min(1)).min(1).max(PREFIX_MAX) })])
            .optional(),
        }),
      )
      .optional()
      .describe(
        'More pools of slots, for pipelines that name one: `{ heavy: { slots: 1, runner: { prefix: [nice, -n, "10"] } } }`. `slots` is the pool of all others. A full pool holds up no other. The prefix is put before the argv of its pipelines, and its exit status is the job\'s',
      ),
    prefetch: z
      .int()
      .min(0)
      .max(SLOTS_MAX)
      .optional()
      .describe(
        "So many slots' worth of jobs more are handed to the launcher in advance, which begins each the moment it fits: for pipelines of milliseconds. Nothing overtakes them, and pause and disable do not hold them; 0 unless given",
      ),
    queueDepth: z.int().min(1).max(1_000_000).describe('Most jobs that may wait; more are refused QUEUE_FULL'),
    order: z.enum(['fifo', 'newestFirst']).describe('Among jobs of one priority'),
    ackTimeout: seconds.describe(
      'Synchronous mode: what an INPROGRESS acknowledgement promises, seconds; renewed at half of it',
    ),
    groups: z.strictObject({
      policy: z
        .enum(['partial', 'skip', 'fail'])
        .describe('When members failed or are missing: combine the others, combine nothing, or call the group failed'),
      patience: seconds.describe('How long a closed group waits for its last members, seconds'),
      late: z
        .enum(['regather', 'ignore'])
        .describe('A member accepted after the gather: combine again under the next revision, or not'),
      linger: seconds.describe('How long a finished group is remembered for late members, seconds'),
      pipeline: name.nullable().describe('Combines a group that closes by itself and names none; null: nothing does'),
    }),
    dataPath: z
      .string()
      .describe(
        'Where raw files are: {instrument} {obsid} {dayObs} {seqNum} {detector} {group} are filled in; from the directory OCPS was started in, unless absolute; empty: pipelines find their own',
      ),
    display: z
      .array(
        z.strictObject({
          view: name.describe('The key of the event displayRequest'),
          dataset: z.string().min(1).max(128).describe('The name under which pipelines report it, such as preview'),
          instrument: name.optional().describe('Any unless given'),
          detector: detectorNumber.optional().describe('Any, and exposures as a whole, unless given'),
        }),
      )
      .max(INTERESTS_MAX)
      .optional()
      .describe(
        'What is shown where: each view is asked to show the dataset of the newest exposure that was processed',
      ),
    camera: cameraSchema
      .optional()
      .describe(
        'Which detectors the camera has: LATISS, LSSTComCam, LSSTCam, or `{detectors, expected, without}`. An exposure is ready when all that are expected are ingested; without it, when one is',
      ),
  })
  .meta({ title: 'OCPS configuration v1' })

// Weeklies of many years; a site that allows more writes a pattern.
const VERSIONS_MAX = 1_000
// A science stack that is set up has some three hundred variables; patterns name them in a few words.
const PASS_ENV_MAX = 500
const word = z.string().min(1)

const override = z.strictObject({
  type: z.enum(['number', 'string', 'boolean']),
  default: z.union([z.number(), z.string(), z.boolean()]).nullable().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
})

export const pipelineSchema = z
  .strictObject({
    description: z.string().max(500).describe('One line for people'),
    scope: z
      .enum(['exposure', 'detector', 'group'])
      .describe('`exposure`, `detector`, or `group`: combines the settled members of one'),
    command: z
      .array(z.union([word, z.array(word).min(1)]))
      .min(1)
      .describe(
        'An argv, never a shell string. A placeholder without a value is a refusal; `{…:-text}` has a default; a list among the words, such as `[--config, …]`, is left out where one of its placeholders has no value. `{node}` `{pipelines}` `{input}` `{members}` `{jobId}` `{obsid}` `{detector}` `{group}` `{instrument}` `{version}` `{workDir}` `{configFile}` `{override.NAME}` are filled in',
      ),
    versions: z
      .array(
        z.string().regex(/^[A-Za-z0-9_.:/+*?-]{1,128}$/, 'expected a version like w_2026_46, or a pattern like w_*'),
      )
      .max(VERSIONS_MAX)
      .optional()
      .describe(
        'Software versions a command may ask for: names, or patterns such as `w_*`; without it any, where the command uses `{version}` or `OCPS_VERSION`, else none',
      ),
    env: z
      .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string())
      .optional()
      .describe('More environment; besides it and `passEnv` the program sees `PATH` and a few others, and `OCPS_…`'),
    passEnv: z
      .array(
        z
          .string()
          .regex(/^[A-Za-z_*?][A-Za-z0-9_*?]{0,127}$/, 'expected the name of a variable, or a pattern like LSST_*')
          .refine(name => !isKept(name), 'this variable belongs to OCPS and is never passed on'),
      )
      .max(PASS_ENV_MAX)
      .optional()
      .describe(
        'Variables taken over from the environment of the service: names, or patterns such as `LSST_*`. Their values are not journaled; `env` is above them. `NATS_…`, `OCPS_NATS_…`, and passwords and tokens of OCPS are never passed on, even if a pattern matches them',
      ),
    timeLimit: seconds.describe('Seconds from start to SIGTERM'),
    grace: seconds.optional().describe('Seconds from SIGTERM to SIGKILL; 5 unless given'),
    pool: name.optional().describe('Whose slots its jobs take, one of `pools`; those of `slots` unless given'),
    slots: z
      .int()
      .min(1)
      .optional()
      .describe(
        'How many of the slots a job takes, at most as many as there are; 1 unless given. Jobs start in order: slots that are free but not enough for the first are kept for it, and no smaller job overtakes it',
      ),
    outputMax: z.int().min(0).optional().describe('Bytes kept of stdout and of stderr; 10 MiB unless given'),
    retries: z
      .strictObject({
        attempts: z.int().min(1).max(100).describe('In all, the first included'),
        backoff: seconds.describe('Seconds before the second attempt; doubled with each'),
        on: z.array(z.union([z.int().min(1).max(255), z.enum(['signal', 'lost', 'timedOut', 'startFailed'])])),
      })
      .optional()
      .describe('When a failed attempt is followed by another, and after how long'),
    fallback: z
      .array(name)
      .max(10)
      .optional()
      .describe('Pipelines to try, in order, when this one has failed for good'),
    overrides: z.record(name, override).optional().describe('What a command may set, and within which bounds'),
    configFiles: z
      .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/))
      .optional()
      .describe('Files that a command may name'),
  })
  .meta({ title: 'OCPS pipeline v1' })

/** The version in `configurationApplied.schemaVersion`. */
export const SCHEMA_VERSION = 'v1'
