import { assign, emit, setup } from 'xstate'
import { ACK, inProgress, type AckBody, type Acknowledgement } from './domain/announcements.ts'
import type { ReplyInput } from './domain/inputs.ts'
import {
  watch,
  type Address,
  type Emission,
  type End,
  type EngineMessage,
  type Heard,
  type ReplyMessage,
} from './domain/messages.ts'
import type { JobOutput } from './jobContext.ts'

/*
 * The answer to one command in synchronous mode, or to an `execute`, which is complete when its processing is: it says
 * INPROGRESS at once, again before each promise runs out, and the final word when every awaited job has ended, or when
 * its group says so.
 *
 *     waiting --reply.await--> waiting (one more job)
 *     waiting --after half the promise--> waiting (INPROGRESS again)
 *     waiting --actor.ended--> waiting                     waiting --(the last awaited job ended)--> answered
 *     waiting --reply.finish--> answered
 */

export interface ReplyContext extends Omit<ReplyInput, 'kind'> {
  readonly awaited: number
  /** What the final acknowledgement will say: the worst that was heard. */
  readonly body: AckBody
}

export type ReplyEvent = Heard<ReplyMessage | Extract<EngineMessage, { type: 'actor.ended' }>>

export const reply = setup({
  types: { context: {} as ReplyContext, events: {} as ReplyEvent, input: {} as ReplyInput, emitted: {} as Emission },
  delays: {
    // Half the promise, so that one late or lost renewal does not break it.
    renewal: ({ context }) => context.ackTimeoutMs / 2,
  },
  guards: {
    isLast: ({ context }) => context.awaited === 1,
  },
  actions: {
    promise: emit(({ context: { caller, jobIds, ackTimeoutMs, askedAs } }) =>
      inProgress(caller, jobIds, ackTimeoutMs, askedAs),
    ),
    awaitJob: assign(({ context }) => ({ awaited: context.awaited + 1 })),
    watchJob: emit((_, { address }: { address: Address }) => watch(address)),
    takeEnd: assign(({ context }, { end }: { end: End }) => ({
      awaited: context.awaited - 1,
      body: worse(context.body, bodyOf(end, context.jobIds)),
    })),
    takeBody: assign((_, { body }: { body: AckBody }) => ({ body })),
    answer: emit(({ context }): Acknowledgement => ({ type: 'ack', caller: context.caller, body: context.body })),
  },
}).createMachine({
  id: 'reply',
  context: ({ input: { caller, jobIds, ackTimeoutMs, askedAs } }) => ({
    caller,
    jobIds,
    ackTimeoutMs,
    ...(askedAs && { askedAs }),
    awaited: 0,
    body: done(jobIds),
  }),
  initial: 'waiting',
  states: {
    waiting: {
      entry: 'promise',
      after: { renewal: { target: 'waiting', reenter: true } },
      on: {
        'reply.await': { actions: ['awaitJob', { type: 'watchJob', params: ({ event }) => event }] },
        'actor.ended': [
          { guard: 'isLast', target: 'answered', actions: { type: 'takeEnd', params: ({ event }) => event } },
          { actions: { type: 'takeEnd', params: ({ event }) => event } },
        ],
        'reply.finish': { target: 'answered', actions: { type: 'takeBody', params: ({ event }) => event } },
      },
    },
    answered: { type: 'final', entry: 'answer' },
  },
})

function done(jobIds: readonly string[]): AckBody {
  return { ack: ACK.COMPLETE, error: 0, result: 'Done', code: null, jobIds, timeout: 0 }
}

function bodyOf(end: End, jobIds: readonly string[]): AckBody {
  const output = end.how === 'done' ? (end.output as JobOutput) : null
  if (output?.outcome.kind === 'succeeded') return done(jobIds)
  const ack =
    output?.outcome.kind === 'aborted' ? ACK.ABORTED : output?.outcome.kind === 'timedOut' ? ACK.TIMEOUT : ACK.FAILED
  const result = output
    ? `Failed: job ${output.jobId}: ${output.outcome.message}`
    : 'Failed: it broke inside OCPS; see errorCode'
  return { ack, error: 1, result, code: output?.outcome.code ?? 'INTERNAL', jobIds, timeout: 0 }
}

/** The first failure stays; a failure outweighs a success. */
function worse(one: AckBody, other: AckBody): AckBody {
  return one.error === 1 ? one : other
}
