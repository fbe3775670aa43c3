/**
 * What the parts of the NATS adapter share: the connection and what happens to it. Says when the server came back, so that whoever has
 * something unacknowledged can send it again; leaves what to send to them.
 */
import type { NatsConnection } from '@nats-io/transport-node'
import type { Log as Logger } from '../log.ts'
import { BusError } from './port.ts'

export interface Link {
  readonly connection: NatsConnection
  readonly log: Logger
  /** Without credentials, for messages to people. */
  readonly url: string
  readonly inboxPrefix: string
  connected(): boolean
  /** Done in order at the end of this turn of the event loop: what many callbacks of one turn send leaves in one write. */
  soon(work: () => void): void
  /** Each message as it leaves that was published plainly, outside of any stream's own publishing. */
  onPublished(handler: (subject: string) => void): void
  /** Every time the server is back after being away. Returns how to stop hearing it. */
  onBack(handler: () => void): () => void
  /** Work to do before the connection closes, such as sending what waits. Bounded by the caller of close. */
  onClosing(handler: () => Promise<void>): void
  /** Called when the connection is gone for good. */
  onClosed(handler: () => void): void
}

export function closedError(url: string): BusError {
  return new BusError('CLOSED', `The connection to ${url} is closed.`)
}
