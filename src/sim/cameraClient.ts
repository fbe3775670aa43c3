// How a script takes an image with the simulated camera. At a real site this is the camera's own CSC
// (ts_observatory_control); it is kept apart from the client of OCPS, which knows nothing of cameras.

import { connect } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { UserError } from '../userError.ts'
import { takeImageAnswerSchema, takeImageSubject, type TakeImage } from './topics.ts'

export interface CameraClient {
  /** Resolves with the obsid once integration has begun, which is after the exposure before has been read out. */
  takeImage(request: TakeImage): Promise<string>
  close(): Promise<void>
}

/** On top of an exposure that is going on: its readout, and the drawing of its pixels. */
const PATIENCE_MS = 30_000

export async function connectCamera({ nats, name }: { nats: NatsSettings; name: string }): Promise<CameraClient> {
  const bus = await connect({ nats }, `script.camera.${name}`)
  return {
    takeImage: async request => {
      const timeoutMs = 1000 * request.exposureTime + PATIENCE_MS
      const { body } = await bus.request(takeImageSubject(name), JSON.stringify(request), { timeoutMs })
      const answer = takeImageAnswerSchema.parse(JSON.parse(new TextDecoder().decode(body)))
      if ('error' in answer) throw new UserError(`${name} takes no image: ${answer.error}`)
      return answer.imageName
    },
    close: () => bus.close(),
  }
}
