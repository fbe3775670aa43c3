import { expect, onTestFinished, test } from 'vitest'
import { connectNats } from '../../src/bus/nats.ts'
import { startInstance } from '../conformance/instance.ts'

const DAY_NS = 86_400e9

test('events are kept for as many days as the settings say', async () => {
  const running = await startInstance({ eventsDays: 2 })
  onTestFinished(() => running.stop())
  const bus = await connectNats({ url: running.service.natsUrl, name: 'test' })
  onTestFinished(() => bus.close())
  const stream = `OCPS_${running.service.instance}_EVT`
  const { body } = await bus.request(`$JS.API.STREAM.INFO.${stream}`, '', { timeoutMs: 5_000 })
  const { config } = JSON.parse(new TextDecoder().decode(body)) as { config: { max_age: number } }
  expect(config.max_age / DAY_NS).toBe(2)
})
