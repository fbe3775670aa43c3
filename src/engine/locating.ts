import { jobAddress } from '../../machines/domain/messages.ts'
import { followOrder, lookOrder, type IngestContext } from '../../machines/ingest.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { DataOrder } from '../../machines/ports.ts'
import type { World } from './world.ts'

/**
 * What a locator is told beside the orders of the machines: where a job's data would be, and after a restart everything
 * again that still holds.
 */

/**
 * With the path of the job's data, for a locator that looks there. Not in the machines' own orders: those of old
 * recordings name none.
 */
export function withPath(world: World, order: DataOrder): DataOrder {
  if (order.type !== 'data.look') return order
  const job = world.actor(jobAddress(order.jobId))?.snapshot.context as JobContext | undefined
  const dataPath = job?.asked.dataPath ?? ''
  return dataPath === '' ? order : { ...order, dataPath }
}

/** Orders that hold when a process begins over its journal. */
export function standingOrders(world: World): DataOrder[] {
  const ingest = world.actor('ingest')?.snapshot.context as IngestContext | undefined
  const orders = ingest ? [followOrder(ingest)] : []
  for (const { snapshot } of world.actors('job')) {
    if (!snapshot.matches({ held: 'awaitingData' })) continue
    const { jobId, dataId } = snapshot.context as JobContext
    const look = { type: 'data.look', jobId, dataId } as const
    orders.push(withPath(world, ingest ? lookOrder(ingest, look) : look))
  }
  return orders
}
