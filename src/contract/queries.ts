import { z } from 'zod'
import type { GroupResult, JobResult } from '../../machines/domain/announcements.ts'
import type { ShelfItem } from '../../machines/domain/messages.ts'
import type { GroupAnswer, JobAnswer, JobsAnswer, ShelfAnswer, StateAnswer } from './answers.ts'
import { eventSchemas, groupState, jobState } from './events.ts'
import { exactly } from './exactly.ts'
import { type ExposureAnswer, type HistoryAnswer, historyRequest } from './history.ts'
import { QUERY_ERRORS, type QueryError, type QueryErrorCode } from './queryErrors.ts'
import { askedFor, count, cut, dataId, dataset, identity, jobIdSaid, metric, outcomeKind, time } from './shapes.ts'
import { shelvedWork } from './work.ts'

/**
 * The questions about the present and their answers, as schemas; the answers' types are answers.ts's. A question that
 * cannot be answered is told why.
 */

const error = exactly<QueryError>()(
  z.strictObject({
    code: z.enum(Object.keys(QUERY_ERRORS) as QueryErrorCode[]).describe('Why there is no answer'),
    error: z.string().describe('The same as a sentence'),
  }),
)
const nothing = z.strictObject({})

const jobResult = exactly<JobResult>()(eventSchemas.jobResult.omit({ at: true, cut: true }))
const groupResult = exactly<GroupResult>()(eventSchemas.groupResult.omit({ at: true, cut: true }))

const state = z.strictObject({
  instance: z.string(),
  natsUrl: z.string().describe('Without credentials'),
  serverVersion: z.string(),
  promise: z.string().describe('How durable an accepted command is'),
  survives: z.enum(['power', 'process']).describe('What an accepted command survives for certain'),
  workDir: z.string().describe("Where the jobs' directories are, on host"),
  versions: z.record(z.string(), z.string()),
  pid: z.int(),
  host: z.string(),
  summaryState: z.string(),
  errorCode: z.int(),
  errorReport: z.string(),
  logLevel: z.int(),
  configuration: z.string().nullable().describe('Comma list of the files applied; null before start'),
  configurationVersion: z.string().nullable().describe('What they held, in short; null before start'),
  isReloadDue: z.boolean().describe('The files hold something else now'),
  queue: z.strictObject({
    state: z.string().describe('closed, flowing or paused'),
    mode: z.string().nullable().describe('async or sync; null before start'),
    waiting: count,
    running: count.describe('Jobs that have their slots'),
    ahead: count.describe('Jobs handed over before their slots are free; 0 without prefetch'),
    held: count,
    slots: count.describe('Of all pools'),
    slotsTaken: count.describe('By those that are running'),
    pools: z
      .array(
        z.strictObject({
          pool: z.string(),
          slots: count,
          slotsTaken: count,
          running: count,
          ahead: count,
          waiting: count,
        }),
      )
      .exactOptional()
      .describe('Where there is more than one, each; the first is that of `slots`'),
  }),
  groups: count.describe('Groups that are open or remembered'),
  shelf: count.describe('Jobs that ended without success and can be retried'),
})

const openTimes = z.strictObject({
  accepted: time,
  queued: time.nullable(),
  started: time.nullable(),
  settled: z.int().exactOptional().describe('0 while it is open'),
})

const openJob = z.strictObject({
  jobId: jobIdSaid,
  state: jobState,
  dataId,
  pipeline: z.string(),
  attempt: count,
  version: z.string(),
  commandId: z.string(),
  ...askedFor,
  metrics: z.array(metric),
  datasets: z.array(dataset),
  verdict: z.string().nullable(),
  times: openTimes,
  note: z.string().exactOptional().describe('Why it is not further'),
  attemptsMax: count.exactOptional(),
  result: jobResult.nullable().describe('null while it is open'),
})

const settledJob = eventSchemas.jobResult.extend({ state: z.literal('settled'), result: eventSchemas.jobResult })

const openGroup = z.strictObject({
  group: z.string(),
  state: z.enum([...groupState.options, 'concluding', 'finished']),
  revision: count,
  accepted: count.exactOptional(),
  settled: count.exactOptional(),
  succeeded: count.exactOptional(),
  failed: z.array(identity),
  members: z.array(
    z.strictObject({
      identity,
      jobId: jobIdSaid.nullable(),
      pipeline: z.string().nullable(),
      outcome: z.string().nullable(),
    }),
  ),
  result: groupResult.nullable().describe('null while it is open'),
})

const finishedGroup = eventSchemas.groupResult.extend({
  state: z.literal('finished'),
  result: eventSchemas.groupResult,
})

const shelfItem = exactly<ShelfItem>()(
  z.strictObject({
    jobId: jobIdSaid,
    retryOf: z.string().nullable(),
    at: time.describe('When it was accepted'),
    ...shelvedWork.shape,
    outcome: outcomeKind,
  }),
)

const history = {
  jobs: z.array(jobResult).describe('Newest first'),
  total: count.describe('How many match, whatever the limit'),
}

export const querySchemas = {
  state: {
    about: 'What the instance is and does now',
    request: nothing,
    answer: z.union([exactly<StateAnswer>()(state).extend({ cut }), error]),
  },
  jobs: {
    about: 'Open jobs: running first, then in the order they will run',
    request: nothing,
    answer: z.union([
      exactly<JobsAnswer>()(
        z.strictObject({
          jobs: z.array(
            openJob.pick({ jobId: true, state: true, dataId: true, pipeline: true, attempt: true, times: true }),
          ),
          open: count.describe('How many there are; more than jobs holds where the list was cut'),
        }),
      ).extend({ cut }),
      error,
    ]),
  },
  job: {
    about: 'One job, open or settled',
    request: z.strictObject({ jobId: z.string() }),
    answer: z.union([exactly<JobAnswer>()(openJob).extend({ cut }), settledJob, error]),
  },
  group: {
    about: 'One group, open, remembered or finished',
    request: z.strictObject({ group: z.string() }),
    answer: z.union([exactly<GroupAnswer>()(openGroup).extend({ cut }), finishedGroup, error]),
  },
  history: {
    about: 'Jobs that have ended, newest first, of all nights the journal holds',
    request: historyRequest,
    answer: z.union([exactly<HistoryAnswer>()(z.strictObject(history)).extend({ cut }), error]),
  },
  exposure: {
    about: 'One exposure: every job over it, open or ended',
    request: z.strictObject({ obsid: z.string().min(1).max(256) }),
    answer: z.union([
      exactly<ExposureAnswer>()(
        z.strictObject({
          obsid: z.string(),
          open: z.array(openJob.pick({ jobId: true, state: true, pipeline: true, attempt: true })),
          ...history,
        }),
      ).extend({ cut }),
      error,
    ]),
  },
  shelf: {
    about: 'Jobs that ended without success and can be retried, oldest first',
    request: nothing,
    answer: z.union([exactly<ShelfAnswer>()(z.strictObject({ jobs: z.array(shelfItem) })).extend({ cut }), error]),
  },
}
