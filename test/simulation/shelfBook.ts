import type { EventObject } from 'xstate'
import type { RetryCommand } from '../../machines/domain/commands.ts'
import type { Emission } from '../../machines/domain/messages.ts'
import type { Asked } from './asked.ts'
import type { PromiseName } from './violation.ts'

/** The shelf as asked.ts keeps it: a retry finds what lies there, or is refused because nothing does. */
export interface ShelfBook {
  stepped(event: EventObject, emissions: readonly Emission[]): void
}

export function createShelfBook(asked: Asked, broken: (promise: PromiseName, evidence: string) => void): ShelfBook {
  return {
    stepped(event, emissions) {
      if (event.type !== 'shelf.retry') return
      const { command } = event as EventObject & { command: RetryCommand }
      const wanted = asked.retry(command)
      const isRefused = emissions.some(emission => emission.type === 'ack')
      if (isRefused !== (wanted === 0))
        broken(
          'as asked',
          `retry ${command.caller.id} is ${isRefused ? 'refused' : 'taken'} with ${wanted} on the shelf`,
        )
    },
  }
}
