import { assign, emit, setup } from 'xstate'
import { refused } from './domain/announcements.ts'
import type { RetryCommand } from './domain/commands.ts'
import { dayObs } from './domain/dataId.ts'
import type { ShelfInput } from './domain/inputs.ts'
import { tell, type Emission, type Heard, type ShelfItem, type ShelfMessage } from './domain/messages.ts'

/*
 * The dead-letter shelf: jobs that ended without success, kept so that they can be run again by one command, as they
 * were or with another pipeline or version. A job that is taken from the shelf is linked to the first attempt at the
 * same thing.
 *
 *     keeping --shelf.keep--> keeping (the oldest gives way when it is full)
 *     keeping --shelf.taken--> keeping (without those)
 *     keeping --shelf.retry if something matches--> keeping (to the queue)
 *     keeping --shelf.retry--> keeping (refused)
 */

export interface ShelfContext {
  /** Oldest first. */
  readonly items: readonly ShelfItem[]
}

export type ShelfEvent = Heard<ShelfMessage>

// One in a hundred of a night's 190 000 jobs. It is copied for each that fails, and part of every quiescent entry.
const ITEMS_MAX = 2_000

export const shelf = setup({
  types: { context: {} as ShelfContext, events: {} as ShelfEvent, input: {} as ShelfInput, emitted: {} as Emission },
  guards: {
    isMatching: ({ context }, { command }: { command: RetryCommand }) => matching(context, command).length > 0,
  },
  actions: {
    keep: assign(({ context }, { item }: { item: ShelfItem }) => ({
      items: [...context.items, item].slice(-ITEMS_MAX),
    })),
    takeOff: assign(({ context }, { jobIds }: { jobIds: readonly string[] }) => {
      const taken = new Set(jobIds)
      return { items: context.items.filter(({ jobId }) => !taken.has(jobId)) }
    }),
    handToQueue: emit(({ context }, { command }: { command: RetryCommand }) =>
      tell('queue', { type: 'queue.resubmit', command, items: matching(context, command) }),
    ),
    refuse: emit(
      (_, { command }: { command: RetryCommand }): Emission =>
        refused(command.caller, {
          code: 'NOTHING_TO_RETRY',
          reason: `no job ${named(command)} ended without success lately, or it was retried already`,
        }),
    ),
  },
}).createMachine({
  id: 'shelf',
  context: { items: [] },
  initial: 'keeping',
  states: {
    keeping: {
      on: {
        'shelf.keep': { actions: { type: 'keep', params: ({ event }) => event } },
        'shelf.taken': { actions: { type: 'takeOff', params: ({ event }) => event } },
        'shelf.retry': [
          {
            guard: { type: 'isMatching', params: ({ event }) => event },
            actions: { type: 'handToQueue', params: ({ event }) => event },
          },
          { actions: { type: 'refuse', params: ({ event }) => event } },
        ],
      },
    },
  },
})

function matching({ items }: ShelfContext, { of }: RetryCommand): ShelfItem[] {
  return items.filter(({ jobId, dataId, at }) => {
    switch (of.by) {
      case 'jobId':
        return jobId === of.jobId
      case 'obsid':
        return dataId.obsid === of.obsid
      case 'group':
        return dataId.group === of.group
      case 'dayObs':
        return dayObs(at) === of.dayObs
    }
  })
}

function named({ of }: RetryCommand): string {
  switch (of.by) {
    case 'jobId':
      return of.jobId
    case 'obsid':
      return `of ${of.obsid}`
    case 'group':
      return `of group ${of.group}`
    case 'dayObs':
      return `of the night ${of.dayObs}`
  }
}
