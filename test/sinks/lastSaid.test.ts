import { expect, test } from 'vitest'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import { numberOf, readLastSaid } from '../../src/sinks/nats/feed.ts'

async function eventsWith(...ids: readonly string[]) {
  const network = createMemoryNetwork()
  const bus = network.connect('test')
  const retained = await bus.retained({ name: 'E', subjects: ['evt.>'], maxAgeMs: 3_600_000 })
  for (const [at, id] of ids.entries()) bus.publish(`evt.${at}`, '', { 'Nats-Msg-Id': id })
  await network.settle()
  return retained
}

test.each([
  ['LATISS:12.3', '12.3'],
  ['LATISS:12.0.job_result', '12.0.job_result'],
  ['hello', null],
  ['12.3', null],
  ['LATISS:hello', null],
  ['OTHER:12.3', null],
  ['LATISS:12', null],
  ['LATISS:12.3.4', null],
])('the number in the id %s is %s', (id, number) => {
  expect(numberOf('LATISS', id)).toBe(number)
})

test('what was said last is the newest event the journal knows of, whatever else was published', async () => {
  const retained = await eventsWith('LATISS:5.1', 'LATISS:7.2', 'hello', 'OTHER:9.1', 'LATISS:x')
  expect(await readLastSaid(retained, 'LATISS', 7)).toEqual({ lastSaid: '7.2', numbersAfter: 7 })
  expect(await readLastSaid(await eventsWith('hello'), 'LATISS', 7)).toEqual({ lastSaid: null, numbersAfter: 0 })
})

test('events behind the end of the journal say that it is a copy from earlier, and which numbers are taken', async () => {
  const retained = await eventsWith('LATISS:5.1', 'LATISS:7.2', 'LATISS:40.1')
  expect(await readLastSaid(retained, 'LATISS', 6)).toEqual({ lastSaid: '5.1', numbersAfter: 40 })
})

test('an id that no journal could have come to is not believed', async () => {
  const retained = await eventsWith('LATISS:5.1', 'LATISS:900000000000000.1')
  expect(await readLastSaid(retained, 'LATISS', 6)).toEqual({ lastSaid: '5.1', numbersAfter: 5 })
})
