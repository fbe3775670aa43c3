import { z } from 'zod'
import type { DataId } from '../../machines/domain/dataId.ts'
import type { DataOrder, DataSide } from '../../machines/ports.ts'
import type { Bus } from '../bus/port.ts'
import { oods } from '../contract/subjects.ts'
import type { LocatorPart } from '../parts.ts'

/**
 * The data's side: hears `imageInOODS` (ctrl_oods) and tells the jobs that wait for it. It remembers what was ingested lately, so that a job may ask after the
 * fact; an event that does not say which exposure it is about (`??`, ingest failures with numeric ids) is nobody's.
 */
export interface IngestOptions {
  readonly bus: Bus
  readonly report: (report: { readonly type: 'data.present' | 'data.absent'; readonly jobId: string }) => void
  readonly now: () => number
}

// imageInOODS, as far as it is needed: ctrl_oods oods_csc.py. statusCode 0 is "ingested".
const imageInOODS = z.object({
  obsid: z.string().max(128),
  statusCode: z.int(),
  raft: z.string().optional(),
  sensor: z.string().optional(),
  detector: z.int().optional(),
})

// Ten exposures of 205 detectors, and then some: readiness is asked within a minute of the exposure.
const REMEMBERED_MAX = 10_000

export function createIngestWatch({ bus, report }: IngestOptions): DataSide {
  const ingested = new Set<string>()
  const waiting = new Map<string, DataId>()
  bus.subscribe(oods.anyImage, ({ body }) => {
    const event = read(body)
    if (event?.statusCode !== 0) return
    for (const key of [event.obsid, ...(event.detector === undefined ? [] : [`${event.obsid}/${event.detector}`])])
      ingested.add(key)
    for (const oldest of ingested) {
      if (ingested.size <= REMEMBERED_MAX) break
      ingested.delete(oldest)
    }
    for (const [jobId, dataId] of waiting) if (isThere(dataId)) tell('data.present', jobId)
  })
  return {
    order(order: DataOrder) {
      if (order.type === 'data.forget') return void waiting.delete(order.jobId)
      if (isThere(order.dataId)) return tell('data.present', order.jobId)
      waiting.set(order.jobId, order.dataId)
      report({ type: 'data.absent', jobId: order.jobId })
    },
  }

  function isThere({ obsid, detector }: DataId): boolean {
    return obsid !== null && ingested.has(detector === null ? obsid : `${obsid}/${detector}`)
  }

  function tell(type: 'data.present', jobId: string): void {
    waiting.delete(jobId)
    report({ type, jobId })
  }
}

function read(body: Uint8Array): z.infer<typeof imageInOODS> | null {
  try {
    return imageInOODS.parse(JSON.parse(new TextDecoder().decode(body)))
  } catch {
    return null
  }
}

export const oodsLocator: LocatorPart = {
  name: 'oods',
  settings: z.strictObject({}).default({}),
  open: createIngestWatch,
}
