import { jobAddress } from '../../machines/domain/messages.ts'
import { startOrder } from '../../machines/jobAttempt.ts'
import type { JobContext } from '../../machines/jobContext.ts'
import type { Executor, Locator } from '../../machines/ports.ts'
import type { QueueContext } from '../../machines/queue.ts'
import { grantedIn } from '../../machines/standing.ts'
import type { Log } from '../log.ts'
import { standingOrders } from './locating.ts'
import type { World } from './world.ts'

export interface TakingUp {
  readonly world: World
  readonly executor: Executor
  readonly locator: Locator
  readonly log: Log
}

/**
 * After a restart: gives what was running to the executor to adopt, and asks again for the data of jobs that were
 * waiting for them, in the order slots were granted.
 */
export function takeUp({ world, executor, locator, log }: TakingUp): void {
  const queue = world.actor('queue')?.snapshot.context as QueueContext | undefined
  const granted = (queue ? grantedIn(queue) : []).flatMap(jobId => world.actor(jobAddress(jobId)) ?? [])
  for (const { snapshot, address } of new Set([...granted, ...world.actors('job')])) {
    const context = snapshot.context as JobContext
    const { jobId, attempt, reportsHeard, pipeline } = context
    if (snapshot.matches('active') || snapshot.matches('stopping')) {
      const was = snapshot.matches('active') ? 'running' : 'being stopped'
      log.info({ jobId, attempt }, `taking up ${address}, which was ${was}`)
      executor.adopt({
        type: 'executor.adopt',
        start: startOrder(context),
        reportsHeard,
        started: !snapshot.matches({ active: 'starting' }),
      })
      if (snapshot.matches('stopping'))
        executor.stop({ type: 'executor.stop', jobId, attempt, graceMs: pipeline.graceMs })
    }
  }
  for (const order of standingOrders(world)) locator.order(order)
}
