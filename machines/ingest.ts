import { assign, emit, enqueueActions, setup } from 'xstate'
import { detectorOf, detectorsNeeded, type Camera, type IngestedImage } from './domain/camera.ts'
import type { DataId } from './domain/dataId.ts'
import type { IngestInput } from './domain/inputs.ts'
import { jobAddress, tell, type Emission, type Heard, type IngestMessage } from './domain/messages.ts'
import type { DataOrder } from './ports.ts'

/*
 * What the OODS has ingested lately, detector by detector, and which jobs wait for more. Only there while the
 * configuration names a camera; it is journaled like everything a machine knows, so that a restart forgets nothing. A
 * job whose data are not known to be in is looked for by the locator, too, in case the event was missed.
 *
 *     following --data.look if it is in--> (tells the job)
 *     following --data.look--> (remembers it, and has the locator look)
 *     following --data.ingested--> (tells the jobs that have all they need now)
 *     following --data.forget if it waits--> (forgets it)
 *     following --ingest.configure if the camera is the same--> (goes on)
 *     following --ingest.configure if there is a camera--> (begins afresh)
 *     following --ingest.configure--> over (the locator goes on alone)
 *
 * An exposure is ready when every detector the camera expects is in, a job of one detector when that one is.
 */

export interface IngestContext {
  readonly camera: Camera
  /** Detectors that are in, by exposure; the exposure heard of first comes first. */
  readonly exposures: readonly (readonly [obsid: string, detectors: readonly number[]])[]
  /** jobId → what it waits for. */
  readonly waiting: Readonly<Record<string, DataId>>
}

export type IngestEvent = Heard<IngestMessage>

type Look = Extract<DataOrder, { type: 'data.look' }>
type Ingested = Extract<IngestMessage, { type: 'data.ingested' }>
type Configure = Extract<IngestMessage, { type: 'ingest.configure' }>

// An exposure every 30 s for the better part of an hour; 100 of 189 detectors are 75 kB in a mark.
export const EXPOSURES_MAX = 100

const whole = <E extends object>({ event }: { event: E }): E => event

export const ingest = setup({
  types: {
    context: {} as IngestContext,
    events: {} as IngestEvent,
    input: {} as IngestInput,
    emitted: {} as Emission,
  },
  guards: {
    isIn: ({ context }, { dataId }: Look) => isReady(context, dataId),
    isWaiting: ({ context }, { jobId }: { jobId: string }) => Object.hasOwn(context.waiting, jobId),
    isSameCamera: ({ context }, { camera }: Configure) => JSON.stringify(camera) === JSON.stringify(context.camera),
    isCamera: (_, { camera }: Configure) => camera !== null,
  },
  actions: {
    follow: emit(({ context }) => followOrder(context)),
    tellJob: emit((_, { jobId }: Look) => tell(jobAddress(jobId), { type: 'data.present', jobId })),
    remember: assign(({ context }, { jobId, dataId }: Look) => ({
      waiting: { ...context.waiting, [jobId]: dataId },
    })),
    look: emit(({ context }, look: Look) => lookOrder(context, look)),
    take: enqueueActions(({ context, enqueue }, { images }: Ingested) => {
      const after = { ...context, exposures: withImages(context, images) }
      enqueue.assign({ exposures: after.exposures })
      for (const [jobId, dataId] of Object.entries(context.waiting))
        if (isReady(after, dataId)) enqueue.emit(tell(jobAddress(jobId), { type: 'data.present', jobId }))
    }),
    forget: enqueueActions(({ context, enqueue }, { jobId }: { jobId: string }) => {
      const { [jobId]: _forgotten, ...waiting } = context.waiting
      enqueue.assign({ waiting })
      enqueue.emit({ type: 'data.forget', jobId })
    }),
    // Numbers of another camera mean other detectors.
    beginAfresh: enqueueActions(({ context, enqueue }, { camera }: Configure) => {
      if (camera === null) return
      const afresh = { camera, exposures: [], waiting: context.waiting }
      enqueue.assign(afresh)
      enqueue.emit(followOrder(afresh))
      for (const look of looks(context)) enqueue.emit(lookOrder(afresh, look))
    }),
    handOver: enqueueActions(({ context, enqueue }) => {
      enqueue.emit({ type: 'data.follow', sensors: [] })
      for (const look of looks(context)) enqueue.emit(look)
    }),
  },
}).createMachine({
  id: 'ingest',
  context: ({ input }) => ({ camera: input.camera, exposures: [], waiting: {} }),
  initial: 'following',
  states: {
    following: {
      entry: 'follow',
      on: {
        'data.look': [
          { guard: { type: 'isIn', params: whole }, actions: { type: 'tellJob', params: whole } },
          {
            actions: [
              { type: 'remember', params: whole },
              { type: 'look', params: whole },
            ],
          },
        ],
        'data.forget': {
          guard: { type: 'isWaiting', params: whole },
          actions: { type: 'forget', params: whole },
        },
        'data.ingested': { actions: { type: 'take', params: whole } },
        'ingest.configure': [
          { guard: { type: 'isSameCamera', params: whole } },
          { guard: { type: 'isCamera', params: whole }, actions: { type: 'beginAfresh', params: whole } },
          { target: 'over', actions: 'handOver' },
        ],
      },
    },
    over: { type: 'final' },
  },
})

/** Which sensors the locator is to report; given again after a restart. */
export function followOrder({ camera }: Pick<IngestContext, 'camera'>): DataOrder {
  return { type: 'data.follow', sensors: Object.keys(camera.detectors) }
}

/** Has the locator look for what is not known to be in: every detector the job needs. */
export function lookOrder({ camera }: Pick<IngestContext, 'camera'>, { jobId, dataId }: Look): DataOrder {
  return { type: 'data.look', jobId, dataId, detectors: detectorsNeeded(camera, dataId) }
}

function looks({ waiting }: IngestContext): Look[] {
  return Object.entries(waiting).map(([jobId, dataId]) => ({ type: 'data.look', jobId, dataId }))
}

function isReady({ camera, exposures }: Pick<IngestContext, 'camera' | 'exposures'>, dataId: DataId): boolean {
  const known = exposures.find(([obsid]) => obsid === dataId.obsid)
  return known !== undefined && detectorsNeeded(camera, dataId).every(detector => known[1].includes(detector))
}

/** With what came in; the oldest exposures are forgotten. What the camera does not have is nobody's. */
function withImages(
  { camera, exposures }: IngestContext,
  images: readonly IngestedImage[],
): IngestContext['exposures'] {
  const byObsid = new Map(exposures)
  for (const image of images) {
    const detector = detectorOf(camera, image)
    const known = byObsid.get(image.obsid) ?? []
    if (detector !== null && !known.includes(detector)) byObsid.set(image.obsid, [...known, detector])
  }
  return [...byObsid].slice(-EXPOSURES_MAX)
}
