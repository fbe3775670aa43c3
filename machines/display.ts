import { assign, enqueueActions, setup } from 'xstate'
import type { DisplayImage, EventAnnouncement } from './domain/announcements.ts'
import type { Interest } from './domain/configuration.ts'
import { compareExposures, compareJobs } from './domain/dataId.ts'
import type { DisplayInput } from './domain/inputs.ts'
import type { DisplayMessage, Emission, Heard } from './domain/messages.ts'

/*
 * The mediator between what pipelines make and what people look at: every dataset that is announced is held against the
 * interests of the configuration, and where it is newer than what a view shows, that view is asked to show it. Never in
 * a job's path, and only there while anybody is interested.
 *
 *     watching --display.offer if a view wants it--> watching (says so)
 *     watching --display.offer--> watching (nothing new)
 *     watching --display.configure if anything is of interest--> watching (empty)
 *     watching --display.configure--> over
 *
 * Newest is what was observed last, not what came last: an older exposure that was processed late does not replace a
 * newer one. Of one exposure the newest job counts. Where obsids say nothing of time, the job that was accepted last
 * counts.
 */

export interface DisplayContext {
  readonly interests: readonly Interest[]
  /** View → what it shows. */
  readonly shown: Readonly<Record<string, DisplayImage>>
}

export type DisplayEvent = Heard<DisplayMessage>

type Offer = Extract<DisplayMessage, { type: 'display.offer' }>
type Configure = Extract<DisplayMessage, { type: 'display.configure' }>

const whole = <E extends object>({ event }: { event: E }): E => event

export const display = setup({
  types: {
    context: {} as DisplayContext,
    events: {} as DisplayEvent,
    input: {} as DisplayInput,
    emitted: {} as Emission,
  },
  guards: {
    isWanted: ({ context }, { image }: Offer) => viewsFor(context, image).length > 0,
    isOfInterest: (_, { interests }: Configure) => interests.length > 0,
  },
  actions: {
    requestDisplay: enqueueActions(({ context, enqueue }, { image }: Offer) => {
      for (const view of viewsFor(context, image)) enqueue.emit(request(view, image))
    }),
    show: assign(({ context }, { image }: Offer) => ({
      shown: { ...context.shown, ...Object.fromEntries(viewsFor(context, image).map(view => [view, image])) },
    })),
    clearViews: enqueueActions(({ context, enqueue }) => {
      for (const view of Object.keys(context.shown)) enqueue.emit(request(view, null))
    }),
    beginAfresh: assign((_, { interests }: Configure) => ({ interests, shown: {} })),
  },
}).createMachine({
  id: 'display',
  context: ({ input }) => ({ interests: input.interests, shown: {} }),
  initial: 'watching',
  states: {
    watching: {
      on: {
        'display.offer': {
          guard: { type: 'isWanted', params: whole },
          actions: [
            { type: 'requestDisplay', params: whole },
            { type: 'show', params: whole },
          ],
        },
        'display.configure': [
          {
            guard: { type: 'isOfInterest', params: whole },
            actions: ['clearViews', { type: 'beginAfresh', params: whole }],
          },
          { target: 'over', actions: 'clearViews' },
        ],
      },
    },
    over: { type: 'final' },
  },
})

/** The views that are to show an image: who asked for such a one and shows nothing newer. */
function viewsFor({ interests, shown }: DisplayContext, image: DisplayImage): string[] {
  const views = interests.filter(interest => isAskedFor(interest, image)).map(({ view }) => view)
  return [...new Set(views)].filter(view => {
    const before = shown[view]
    return before === undefined || !isOlder(image, before)
  })
}

function isAskedFor({ dataset, instrument, detector }: Interest, image: DisplayImage): boolean {
  return (
    dataset === image.dataset &&
    (instrument === null || instrument === image.dataId.instrument) &&
    (detector === null || detector === image.dataId.detector)
  )
}

function isOlder(image: DisplayImage, before: DisplayImage): boolean {
  const exposures = compareExposures(image.dataId.obsid ?? '', before.dataId.obsid ?? '')
  return (exposures === 0 ? compareJobs(image.jobId, before.jobId) : exposures) < 0
}

function request(view: string, image: DisplayImage | null): EventAnnouncement {
  return { type: 'event', topic: 'displayRequest', key: view, body: { view, image } }
}
