import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { startEmbeddedServer } from '../../src/bus/embedded.ts'
import { connectNats } from '../../src/bus/nats.ts'
import type { Bus } from '../../src/bus/port.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { collect, text } from './messages.ts'
import { eventually, rejection } from './eventually.ts'

/*
 * Fencing by place, where a repeated id or a lost confirmation makes it hard to say whose a message is. The rest is
 * contract.ts's.
 */

let bus: Bus
const cleanUp = cleanUpAfterAll()
beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ocps-log-'))
  cleanUp(() => rm(dir, { recursive: true }))
  const server = await startEmbeddedServer({ storeDir: dir })
  cleanUp(() => server.stop())
  bus = await connectNats({ url: server.url, name: 'test' })
  cleanUp(() => bus.close())
})

let used = 0
/** The shortest time a server remembers an id for: what it has forgotten it refuses for its place only. */
const FORGOTTEN_MS = 100
const isWritten = ({ id }: { id: string }): boolean => /^[ab]:\d+$/.test(id)

/** Two writers of one log, each of which takes the first message for the newest. */
async function writers() {
  const name = `L${(used += 1)}`
  const options = { name, subject: `log.${used}`, isWritten, duplicateWindowMs: FORGOTTEN_MS }
  const [first, second] = [await bus.log(options), await bus.log(options)]
  await first.append({ body: '1', id: 'a:1', after: '' })
  await second.last()
  /**
   * Publishes under an id that no writer uses until the server takes it a second time: it has forgotten those before
   * it, too.
   */
  const forgotten = async () => {
    const isTaken = async () => {
      const answer = await bus.request(options.subject, '', { headers: { 'Nats-Msg-Id': 'probe' }, timeoutMs: 2_000 })
      return !('duplicate' in (JSON.parse(text(answer)) as object))
    }
    await isTaken()
    await eventually('the id is forgotten', isTaken)
  }
  return { first, second, subject: options.subject, forgotten }
}

test('a message that a stranger published under the id of the next one is not taken for it', async () => {
  const { first, subject } = await writers()
  const { last } = await first.state()
  bus.publish(subject, 'not yours', { 'Nats-Msg-Id': 'a:2' })
  await eventually('it is there', async () => (await first.state()).last > last)
  expect(await rejection(first.append({ body: '2', id: 'a:2', after: 'a:1' }))).toMatchObject({
    code: 'BROKEN',
    message: expect.stringContaining('has the id a:2 of ours, and another wrote it'),
  })
})

test('a writer that does not know it yet is fenced off, and what it wanted to write is not there', async () => {
  const { first, second } = await writers()
  await second.append({ body: 'mine', id: 'b:2', after: 'a:1' })
  expect(await rejection(first.append({ body: 'late', id: 'a:2', after: 'a:1' }))).toMatchObject({ code: 'FENCED' })
  expect((await collect(second.read())).map(({ id }) => id)).toEqual(['a:1', 'b:2'])
  expect(await rejection(first.append({ body: 'later', id: 'a:3', after: 'a:1' }))).toMatchObject({ code: 'FENCED' })
})

test('what is there already, of which only the confirmation was lost, is not another writer’s', async () => {
  const { first, second, forgotten } = await writers()
  await second.append({ body: 'the same', id: 'a:2', after: 'a:1' })
  await forgotten()
  await first.append({ body: 'the same', id: 'a:2', after: 'a:1' })
  await first.append({ body: '3', id: 'a:3', after: 'a:2' })
  expect((await collect(first.read())).filter(isWritten).map(({ id }) => id)).toEqual(['a:1', 'a:2', 'a:3'])
})
