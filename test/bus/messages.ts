import type { Bus, Incoming } from '../../src/bus/port.ts'

/** Messages as the tests of the bus read and write them. */

export function text(message: Incoming): string {
  return Buffer.from(message.body).toString()
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Messages that follow one another: `<epoch>:1`, `<epoch>:2`, … after `after`. */
export function chain(
  epoch: string,
  after: string,
  count: number,
  from = 0,
): { body: string; id: string; after: string }[] {
  return Array.from({ length: count }, (_, index) => {
    const n = from + index + 1
    return { body: `entry ${n}`, id: `${epoch}:${n}`, after: index === 0 ? after : `${epoch}:${n - 1}` }
  })
}

/**
 * After this everything this connection sent or subscribed to has reached the server, and what it was sent before is
 * handled.
 */
export async function flush(bus: Bus): Promise<void> {
  await bus.subscribe('flush.nothing', () => {}).stop()
}
