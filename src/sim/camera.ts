/**
 * A simulated camera: answers takeImage, says startIntegration and endReadout, and leaves each exposure's FITS file at
 * its place, whole or not at all. One exposure at a time, in the order asked. What is on the pixels is a frame source's
 * business (frames.ts), who hears the events is nobody's here.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { dayObs } from '../../machines/domain/dataId.ts'
import type { Bus, Incoming } from '../bus/port.ts'
import { camera as subjects } from '../contract/subjects.ts'
import type { FrameSource, Shot } from './frames.ts'
import {
  type EndReadout,
  joinFields,
  type StartIntegration,
  taiSeconds,
  type TakeImage,
  type TakeImageAnswer,
  takeImageSchema,
  takeImageSubject,
} from './topics.ts'

export interface CameraOptions {
  readonly bus: Bus
  /** On the wire and in INSTRUME, e.g. LATISS. */
  readonly name: string
  /** Begins the obsid, e.g. `AT` for the Auxiliary Telescope's camera. */
  readonly telescope: string
  /** Absolute path of an exposure's file. */
  readonly pathOf: (obsid: string) => string
  readonly frames: FrameSource
  /** How many simulated seconds pass in a real one; 1 is true to life. */
  readonly pace: number
  /** Simulated seconds from the shutter's closing to the file. 2 s, as LSSTCam reads out, unless given. */
  readonly readoutTime?: number
  /** Milliseconds since 1970 UTC; for tests. */
  readonly now?: () => number
  /** Waits so many milliseconds; for tests. Rejects when the signal says so. */
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<unknown>
}

export interface Camera {
  /** An exposure that is going on is given up: no endReadout and no file. */
  close(): Promise<void>
}

/** More requests than this waiting for the shutter are a script gone wild. */
const WAITING_MAX = 100
const READOUT_TIME = 2

export function startCamera(options: CameraOptions): Camera {
  const { bus, name, telescope, frames, now = Date.now, wait = pause } = options
  const stopped = new AbortController()
  let seqNum = 0
  let waiting = 0
  let shutter: Promise<void> = Promise.resolve()

  const subscription = bus.subscribe(takeImageSubject(name), message => {
    const request = takeImageSchema.safeParse(parsed(message))
    if (!request.success)
      return answer(message, {
        error: `takeImage needs {exposureTime: s, groupId}; ${request.error.issues[0]?.message}`,
      })
    if (waiting >= WAITING_MAX)
      return answer(message, { error: `${WAITING_MAX} exposures wait for the shutter already` })
    waiting++
    shutter = shutter.then(() => expose(request.data, message)).finally(() => waiting--)
  })

  return {
    close: async () => {
      stopped.abort()
      await subscription.stop()
      await shutter
    },
  }

  async function expose(request: TakeImage, message: Incoming): Promise<void> {
    if (stopped.signal.aborted) return
    const begun = now()
    const shot: Shot = { ...request, ...nextName(begun), instrument: name, begun }
    const common = {
      imageName: shot.obsid,
      imageSource: telescope,
      imageController: 'O',
      imageDate: String(shot.dayObs),
      imageNumber: shot.seqNum,
      timestampAcquisitionStart: taiSeconds(begun),
      additionalKeys: joinFields(['groupId', 'imageType']),
      additionalValues: joinFields([shot.groupId, shot.imageType ?? 'OBJECT']),
    }
    try {
      const exposed = wait((1000 * request.exposureTime) / options.pace, stopped.signal)
      const readOut = exposed.then(() =>
        wait((1000 * (options.readoutTime ?? READOUT_TIME)) / options.pace, stopped.signal),
      )
      // Handled below; until then the frame is made, and a stop in that time must not count as unhandled.
      readOut.catch(() => {})
      say(subjects.startIntegration(name), { ...common, exposureTime: shot.exposureTime } satisfies StartIntegration)
      answer(message, { imageName: shot.obsid })
      const frame = await frames(shot)
      await readOut
      await writeWhole(options.pathOf(shot.obsid), frame)
      say(subjects.endReadout(name), {
        ...common,
        requestedExposureTime: shot.exposureTime,
        timestampEndOfReadout: taiSeconds(now()),
      } satisfies EndReadout)
    } catch (error) {
      // The script learns it as with a real camera: its image does not come. Who runs the camera sees why.
      if (!stopped.signal.aborted) process.stderr.write(`${name}: ${shot.obsid} is lost: ${String(error)}\n`)
    }
  }

  function nextName(at: number): Pick<Shot, 'obsid' | 'dayObs' | 'seqNum'> {
    seqNum += 1
    const day = dayObs(at)
    return { obsid: `${telescope}_O_${day}_${String(seqNum).padStart(6, '0')}`, dayObs: day, seqNum }
  }

  function say(subject: string, body: object): void {
    bus.publish(subject, JSON.stringify(body))
  }

  function answer({ reply }: Incoming, body: TakeImageAnswer): void {
    if (reply !== null) bus.publish(reply, JSON.stringify(body))
  }
}

/** A reader sees the whole file or none: it is written beside its place and moved there. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${path}.${process.pid}.part`
  await mkdir(dirname(path), { recursive: true })
  try {
    await writeFile(unfinished, bytes)
    await rename(unfinished, path)
  } finally {
    await rm(unfinished, { force: true })
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<unknown> {
  return delay(milliseconds, undefined, { signal })
}

function parsed({ body }: Incoming): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return null
  }
}
