import { z } from 'zod'
import type { SinkPart } from '../../parts.ts'
import { createFeed, readLastSaid } from './feed.ts'

/**
 * The sink on NATS: acknowledgements to who asked, events into the retained stream, which is its memory, telemetry
 * live.
 */
export const natsSink: SinkPart = {
  name: 'nats',
  settings: z.strictObject({}).default({}),
  open({ bus, telemetry, retained, instance, lastN, observe }) {
    const feed = createFeed({ bus, telemetry, retained, instance, observe })
    return {
      say: feed.say,
      flushed: () => retained.flushed(),
      cursor: async () => (await readLastSaid(retained, instance, lastN)).lastSaid,
      unconfirmed: feed.unstored,
    }
  },
}
