/**
 * A simulated OODS (Observatory Operations Data Service): hears that an exposure was read out and, a little later, says
 * that it was ingested, with the words of ctrl_oods and, where asked, with its faults. It looks at no file; it has no
 * Butler.
 */
import type { Bus } from '../bus/port.ts'
import { camera, oods } from '../contract/subjects.ts'
import type { ImageInOODS } from '../contract/oods.ts'
import { endReadoutSchema } from './topics.ts'

/**
 * What goes wrong with one exposure. `lost`: no event, as after a restart of the OODS. `duplicate`: said twice. `late`:
 * after lateMs. `unreadable`: a metadata failure, which does not even say whose (`??`). `failed`: an ingest failure,
 * which names a number instead of the obsid.
 */
export type IngestFault = 'lost' | 'duplicate' | 'late' | 'unreadable' | 'failed'

export interface OodsOptions {
  readonly bus: Bus
  /** The camera's name and its own, e.g. LATISS. */
  readonly name: string
  /** What its sensors are called, `R22_S11`; one event is said for each. LATISS has one, R00 S00. */
  readonly sensors?: readonly string[]
  /** From endReadout to imageInOODS, milliseconds. ctrl_oods gathers messages for up to 0.5 s. */
  readonly ingestMs: number
  /** For a late one, milliseconds. */
  readonly lateMs?: number
  readonly faultOf?: (obsid: string) => IngestFault | null
  /** Calls later and says how to call it off; for tests. */
  readonly after?: (milliseconds: number, call: () => void) => () => void
}

export interface Oods {
  /** Events that are due later are not said any more. */
  close(): Promise<void>
}

const LATE_MS = 5_000

export function startOods(options: OodsOptions): Oods {
  const { bus, name, sensors = ['R00_S00'], ingestMs, lateMs = LATE_MS, faultOf, after = timer } = options
  const due = new Set<() => void>()
  const subscription = bus.subscribe(camera.endReadout(name), ({ body }) => {
    const obsid = obsidIn(body)
    if (obsid === null) return
    const fault = faultOf?.(obsid) ?? null
    const cancel = after(fault === 'late' ? lateMs : ingestMs, () => {
      due.delete(cancel)
      for (const sensor of sensors)
        for (const event of eventsOf(name, obsid, sensor, fault))
          bus.publish(oods.imageInOODS(name), JSON.stringify(event))
    })
    due.add(cancel)
  })
  return {
    close: async () => {
      await subscription.stop()
      for (const cancel of due) cancel()
      due.clear()
    },
  }
}

/** What ctrl_oods says of one file. */
function eventsOf(name: string, obsid: string, sensorName: string, fault: IngestFault | null): ImageInOODS[] {
  const [raft = '', sensor = ''] = sensorName.split('_')
  const one = { camera: name, obsid, raft, sensor, statusCode: 0, description: 'file ingested' } as const
  switch (fault) {
    case null:
    case 'late':
      return [one]
    case 'duplicate':
      return [one, one]
    case 'lost':
      return []
    case 'unreadable': {
      const nobody = { camera: 'UNDEF', obsid: '??', raft: 'R??', sensor: 'S??' } as const
      return [{ ...nobody, statusCode: 2, description: 'metadata failure: no header' }]
    }
    case 'failed':
      return [{ ...one, obsid: exposureId(obsid), statusCode: 1, description: 'ingest failure: the file is damaged' }]
  }
}

/** AT_O_20261122_000017 → 2026112200017 (dayObs, then seqNum in five digits; obs_lsst). */
function exposureId(obsid: string): string {
  const [, dayObs = '', seqNum = ''] = /(\d{8})_(\d{6})$/u.exec(obsid) ?? []
  return `${dayObs}${seqNum.slice(1)}`
}

function obsidIn(body: Uint8Array): string | null {
  try {
    return endReadoutSchema.parse(JSON.parse(new TextDecoder().decode(body))).imageName
  } catch {
    return null
  }
}

function timer(milliseconds: number, call: () => void): () => void {
  const timeout = setTimeout(call, milliseconds)
  return () => clearTimeout(timeout)
}
