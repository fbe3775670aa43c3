import { appendFileSync } from 'node:fs'
import type { GroupResult, JobResult } from '../../machines/domain/announcements.ts'
import { connectNats } from '../../src/bus/nats.ts'
import { INSTANCE } from './world.ts'

/**
 * Someone who only listens, in a process of its own, and writes down what is announced: results with their message ids,
 * and who beats. It judges nothing; that is audit.ts's.
 */
export type Heard =
  | { readonly what: 'result'; readonly id: string; readonly result: JobResult }
  | { readonly what: 'group'; readonly id: string; readonly result: GroupResult }
  | { readonly what: 'beat'; readonly pid: number }

const [, , url = '', file = ''] = process.argv
const bus = await connectNats({ url, name: 'chaos.auditor', waitForServer: true })
const note = (line: Heard) => appendFileSync(file, `${JSON.stringify(line)}\n`)

bus.subscribe(`ocps.${INSTANCE}.evt.jobResult.*`, ({ body, headers }) =>
  note({ what: 'result', id: headers['nats-msg-id'] ?? '', result: JSON.parse(text(body)) as JobResult }),
)
bus.subscribe(`ocps.${INSTANCE}.evt.groupResult.*`, ({ body, headers }) =>
  note({ what: 'group', id: headers['nats-msg-id'] ?? '', result: JSON.parse(text(body)) as GroupResult }),
)
bus.subscribe(`ocps.${INSTANCE}.evt.heartbeat`, ({ body }) =>
  note({ what: 'beat', pid: (JSON.parse(text(body)) as { pid: number }).pid }),
)
process.send?.('listening')
process.once('message', () => {
  void bus.close().then(() => process.disconnect())
})

function text(body: Uint8Array): string {
  return Buffer.from(body).toString()
}
