import type { Bus, Incoming } from '../bus/port.ts'
import type { ImageInOODS } from '../contract/oods.ts'
import { oods } from '../contract/subjects.ts'
import { OcpsError } from './errors.ts'

/**
 * Waiting for an image to be ingested, by the events of the OODS (ctrl_oods oods_csc.py). Events are sent once and can
 * be lost, and a failure may not name its exposure; so a wait always has an end, and says at the end what it heard that
 * may have been meant.
 */
export type { ImageInOODS } from '../contract/oods.ts'

export interface WaitForImageOptions {
  /**
   * A detector's number, for events that carry it, or its name like `R22_S11`. Any detector of the exposure unless
   * given.
   */
  readonly detector?: number | string
  /** Milliseconds; 60 s unless given. An image is usually ingested within a few seconds of its end. */
  readonly timeoutMs?: number
}

export interface Images {
  waitFor(obsid: string, options?: WaitForImageOptions): Promise<ImageInOODS>
  close(): void
}

const IMAGE_TIMEOUT_MS = 60_000
// Fifty exposures of a camera with 205 detectors: a script asks for what it has just taken.
const REMEMBERED_MAX = 10_000
// A sentence, not a list.
const TOLD_MAX = 3

export function createImages(bus: Bus): Images {
  let remembered: ImageInOODS[] = []
  const waiting = new Set<{ look: (event: ImageInOODS) => void; fail: (error: OcpsError) => void }>()
  const subscription = bus.subscribe(oods.anyImage, message => {
    const event = read(message)
    if (event === null) return
    remembered.push(event)
    if (remembered.length > 2 * REMEMBERED_MAX) remembered = remembered.slice(-REMEMBERED_MAX)
    for (const { look } of waiting) look(event)
  })
  return {
    waitFor(obsid, { detector, timeoutMs = IMAGE_TIMEOUT_MS } = {}) {
      const about = (event: ImageInOODS) => isAbout(event, obsid, detector)
      const before = remembered.filter(about)
      // A file that failed once may have been offered again.
      const good = before.find(({ statusCode }) => statusCode === 0)
      if (good) return Promise.resolve(good)
      if (before[0]) return Promise.reject(failed(obsid, before[0]))
      return new Promise((resolve, reject) => {
        const over = () => {
          clearTimeout(timer)
          waiting.delete(waiter)
        }
        const fail = (error: OcpsError) => {
          over()
          reject(error)
        }
        const look = (event: ImageInOODS) => {
          if (!about(event)) return
          if (event.statusCode !== 0) return fail(failed(obsid, event))
          over()
          resolve(event)
        }
        const waiter = { look, fail }
        const timer = setTimeout(() => fail(late(obsid, detector, timeoutMs, remembered)), timeoutMs)
        waiting.add(waiter)
      })
    },
    close() {
      for (const { fail } of waiting)
        fail(new OcpsError('CLOSED', 'this client was closed while it waited for an image'))
      subscription.stop().catch(() => {})
    },
  }
}

function isAbout(event: ImageInOODS, obsid: string, detector: number | string | undefined): boolean {
  if (event.obsid !== obsid && !(event.statusCode !== 0 && event.obsid === exposureId(obsid))) return false
  if (detector === undefined) return true
  return typeof detector === 'number' ? event.detector === detector : `${event.raft}_${event.sensor}` === detector
}

/** The numeric id of an exposure (obs_lsst translators/lsst.py): YYYYMMDD and five digits of the sequence number. */
function exposureId(obsid: string): string | null {
  const parts = /^[A-Z]{2}_[A-Z]_(\d{8})_0(\d{5})$/.exec(obsid)
  return parts && `${parts[1]}${parts[2]}`
}

function failed(obsid: string, event: ImageInOODS): OcpsError {
  return new OcpsError(
    'INGEST_FAILED',
    `${obsid} (${event.raft} ${event.sensor}) was not ingested: ${event.description}`,
  )
}

function late(
  obsid: string,
  detector: number | string | undefined,
  timeoutMs: number,
  heard: readonly ImageInOODS[],
): OcpsError {
  const what = detector === undefined ? obsid : `detector ${detector} of ${obsid}`
  const others = heard.filter(event => event.obsid === obsid)
  const nameless = heard.filter(event => event.statusCode !== 0 && !/^[A-Z]{2}_/.test(event.obsid))
  const notes = [
    ...(others.length > 0 ? [`${others.length} other events of this exposure were heard`] : []),
    ...(nameless.length > 0
      ? [`${nameless.length} failures that do not name an exposure were heard: ${sample(nameless)}`]
      : []),
  ]
  const note = notes.length > 0 ? `; ${notes.join('; ')}` : '; nothing was heard of it'
  return new OcpsError('TIMEOUT', `${what} was not ingested within ${timeoutMs / 1_000} s${note}`)
}

function sample(events: readonly ImageInOODS[]): string {
  const told = events
    .slice(-TOLD_MAX)
    .map(({ obsid, raft, sensor, description }) => `${obsid} ${raft} ${sensor} (${description})`)
  return told.join(', ')
}

function read({ body }: Incoming): ImageInOODS | null {
  try {
    const value = JSON.parse(new TextDecoder().decode(body)) as Partial<ImageInOODS>
    if (typeof value.obsid !== 'string' || typeof value.statusCode !== 'number') return null
    const { camera = '', obsid, raft = '', sensor = '', statusCode, description = '', detector } = value
    return { camera, obsid, raft, sensor, statusCode, description, ...(detector === undefined ? {} : { detector }) }
  } catch {
    return null
  }
}
