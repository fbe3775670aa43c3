import { z } from 'zod'
import type { Incoming } from '../bus/port.ts'
import { decodeExecute } from '../contract/decode.ts'
import { executeSchemas } from '../contract/execute.ts'
import { subjects } from '../contract/subjects.ts'
import type { DoorContext, DoorPart } from '../parts.ts'
import { callerOf } from './natsCaller.ts'

/**
 * The door for scripts that were written for the Python OCPS: its commands `execute` and `abort_job`, put into our
 * words by contract/execute.ts. Their answers and the events job_id and job_result leave by the sink nats.
 */
type ExecuteName = keyof typeof executeSchemas

const NAMES = Object.keys(executeSchemas) as ExecuteName[]

export const executeDoor: DoorPart = {
  name: 'execute',
  settings: z.strictObject({}).default({}),
  hears: NAMES,
  open({ bus, instance, desk }: DoorContext) {
    const hear = (name: ExecuteName) => (message: Incoming) => {
      const { caller, refusal } = callerOf(message)
      desk.command(name, refusal ? { ok: false, refusal } : decodeExecute(name, message.body, instance), caller)
    }
    const subscriptions = NAMES.map(name => bus.subscribe(subjects(instance).command(name), hear(name)))
    return {
      async close() {
        for (const subscription of subscriptions) await subscription.stop()
      },
    }
  },
}
