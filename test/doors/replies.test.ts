import { expect, onTestFinished, test } from 'vitest'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import type { Bus } from '../../src/bus/port.ts'
import { createNight } from '../night.ts'
import { openDoorsOf } from './desk.ts'

/** A door over a bus in memory, and everything that is heard on a subject an answer might be sent to. */
async function opened(reply: string) {
  const network = createMemoryNetwork()
  const [bus, listener] = [network.connect('ocps'), network.connect('listener')]
  const night = await createNight()
  const heard: string[] = []
  listener.subscribe(reply, ({ subject }) => heard.push(subject))
  const answering: Bus = {
    ...bus,
    subscribe: (subject, hear) => bus.subscribe(subject, message => hear({ ...message, reply })),
  }
  const door = await openDoorsOf(night, answering, {
    retained: await bus.retained({ name: 'E', subjects: ['ocps.LATISS.evt.>'], maxAgeMs: 1_000 }),
    say: ({ announcement }) => {
      if (announcement.type === 'ack' && announcement.caller.reply !== null) bus.publish(announcement.caller.reply, '')
    },
  })
  onTestFinished(() => door.close())
  listener.publish('ocps.LATISS.qry.state', '{}')
  listener.publish('ocps.LATISS.cmd.nonsense', '{}')
  await network.settle()
  return heard
}

test.each(['_INBOX.abc.1', '_INBOX_ops.abc', '_R_.XYZ.abc'])(
  'a question and a refusal are answered on %s',
  async reply => {
    expect(await opened(reply)).toEqual([reply, reply])
  },
)

test.each([
  'ocps.LATISS.journal',
  'ocps.LATISS.evt.summaryState',
  'ocps.OTHER.cmd.enable',
  'camera.LATISS.evt.endReadout',
  '$JS.API.STREAM.DELETE.X',
  '$KV.OCPS_LATISS_LEASE.holder',
  'somebody.elses.subject',
  '_INBOX',
  '_R_',
  'x_INBOX.abc',
])('nothing is ever said on %s, which is no inbox', async reply => {
  expect(await opened(reply)).toEqual([])
})
