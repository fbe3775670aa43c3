import { z } from 'zod'
import { sensorName, type IngestedImage } from '../../machines/domain/camera.ts'
import type { DataId } from '../../machines/domain/dataId.ts'
import type { IngestMessage, LocatorAnswer } from '../../machines/domain/messages.ts'
import type { DataOrder, Locator } from '../../machines/ports.ts'
import type { Bus } from '../bus/port.ts'
import { readImageInOODS, type ImageInOODS } from '../contract/oods.ts'
import { oods } from '../contract/subjects.ts'
import type { LocatorPart } from '../parts.ts'
import { createPaths, type Look, type Paths } from './path.ts'

/**
 * Hears `imageInOODS` (ctrl_oods). Where a camera is configured it reports what was ingested and the machines decide
 * what is ready; where none is, it remembers what was ingested lately and tells the jobs that wait for it. Events that
 * were sent while nobody listened, before the start or during an outage, are made up for by looking at the path: a file
 * that was there when listening began may have been ingested unheard.
 */
export interface OodsOptions {
  readonly bus: Pick<Bus, 'subscribe' | 'onStatus'>
  readonly report: (report: LocatorAnswer | Ingested) => void
  /** Milliseconds since 1970 UTC. */
  readonly now: () => number
  readonly paths?: Paths
}

type Ingested = Extract<IngestMessage, { type: 'data.ingested' }>

// Fifty exposures of 205 detectors: readiness is asked within a minute of the exposure.
const REMEMBERED_MAX = 10_000
// What one journal entry holds, some 60 kB; a camera of 189 detectors says that much in five exposures.
const IMAGES_MAX = 1_000

export function createOodsLocator(options: OodsOptions): Locator {
  return new OodsLocator(options)
}

class OodsLocator implements Locator {
  readonly #report: OodsOptions['report']
  readonly #now: () => number
  readonly #paths: Paths
  /** obsid, and obsid/detector where the event said which. */
  readonly #ingested = new Set<string>()
  /** What the machines were told, so that an event that comes twice is journaled once. */
  readonly #reported = new Set<string>()
  readonly #waiting = new Map<string, Look>()
  #followed: ReadonlySet<string> = new Set()
  #unreported: IngestedImage[] = []
  /** Since when every event is heard. */
  #listeningSince: number

  constructor({ bus, report, now, paths = createPaths() }: OodsOptions) {
    this.#report = report
    this.#now = now
    this.#paths = paths
    this.#listeningSince = now()
    bus.subscribe(oods.anyImage, ({ body }) => {
      const image = readImageInOODS(body)
      // A failure that names no exposure is nobody's; one that does may be offered again.
      if (image?.statusCode === 0) this.#hear(image)
    })
    let isAway = false
    bus.onStatus(status => {
      if (status === 'connected' && isAway) this.#listenAgain()
      isAway = status === 'disconnected'
    })
  }

  order(order: DataOrder): void {
    switch (order.type) {
      case 'data.follow':
        this.#followed = new Set(order.sensors)
        this.#reported.clear()
        return
      case 'data.forget':
        this.#waiting.delete(order.jobId)
        return
      case 'data.look':
        if (order.detectors === undefined && this.#isRemembered(order.dataId)) return this.#present(order)
        this.#waiting.set(order.jobId, order)
        if (order.dataPath === undefined) return this.#report({ type: 'data.absent', jobId: order.jobId })
        void this.#lookAtPath(order, () => this.#report({ type: 'data.absent', jobId: order.jobId }))
    }
  }

  #hear(image: ImageInOODS): void {
    const { obsid, detector } = image
    remember(this.#ingested, obsid)
    if (detector !== undefined) remember(this.#ingested, `${obsid}/${detector}`)
    for (const look of this.#waiting.values())
      if (look.detectors === undefined && this.#isRemembered(look.dataId)) this.#present(look)
    this.#follow(image)
  }

  #follow({ obsid, raft, sensor }: ImageInOODS): void {
    const name = sensorName({ raft, sensor })
    if (!this.#followed.has(name) || this.#reported.has(`${obsid} ${name}`)) return
    remember(this.#reported, `${obsid} ${name}`)
    this.#unreported.push({ obsid, raft, sensor })
    // The OODS ingests in batches: what comes in one turn of the event loop is one entry.
    if (this.#unreported.length === 1) setImmediate(() => this.#reportImages())
    if (this.#unreported.length >= IMAGES_MAX) this.#reportImages()
  }

  #reportImages(): void {
    const images = this.#unreported.splice(0)
    if (images.length > 0) this.#report({ type: 'data.ingested', images })
  }

  #listenAgain(): void {
    this.#listeningSince = this.#now()
    for (const look of this.#waiting.values()) if (look.dataPath !== undefined) void this.#lookAtPath(look, () => {})
  }

  async #lookAtPath(look: Look, otherwise: () => void): Promise<void> {
    const completeAt = await this.#paths.completeAt(look)
    // Forgotten, or told, in the meantime.
    if (this.#waiting.get(look.jobId) !== look) return
    if (completeAt !== null && completeAt <= this.#listeningSince) this.#present(look)
    else otherwise()
  }

  #isRemembered({ obsid, detector }: DataId): boolean {
    return obsid !== null && this.#ingested.has(detector === null ? obsid : `${obsid}/${detector}`)
  }

  #present({ jobId }: Look): void {
    this.#waiting.delete(jobId)
    this.#report({ type: 'data.present', jobId })
  }
}

/** The oldest are forgotten. */
function remember(all: Set<string>, one: string): void {
  all.add(one)
  for (const oldest of all) {
    if (all.size <= REMEMBERED_MAX) break
    all.delete(oldest)
  }
}

export const oodsLocator: LocatorPart = {
  name: 'oods',
  settings: z.strictObject({}).default({}),
  open: createOodsLocator,
}
