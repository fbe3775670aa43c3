import type { z } from 'zod'
import type { Command } from '../machines/domain/commands.ts'
import type { Input } from '../machines/domain/messages.ts'
import type { PoolUnreachable } from '../machines/domain/reports.ts'
import type { Executor, Locator, Sink } from '../machines/ports.ts'
import type { Bus, Retained } from './bus/port.ts'
import type { Desk } from './engine/desk.ts'
import type { Log } from './log.ts'
import type { Observe } from './observer.ts'

/**
 * What plugs into an instance: doors, locators, executors and sinks. Each part is a folder or a file that exports one
 * of these; src/instance/compose.ts lists them. A part decides nothing and knows no other part.
 */
export interface Part<Context, Opened, Settings = unknown> {
  /** Unique among the parts of its kind; settings and log lines name it. */
  readonly name: string
  /**
   * Deployment facts, never journaled. A part whose settings may be left out altogether is opened unless it is switched
   * off; any other when it has some.
   */
  readonly settings: z.ZodType<Settings>
  open(context: Context, settings: Settings): Opened | Promise<Opened>
}

/** How commands and queries come in. */
export interface DoorPart extends Part<DoorContext, Door> {
  /** Commands on the instance's NATS subjects that this door answers, so that the door `nats` leaves them alone. */
  readonly hears?: readonly string[]
}
/** Where data are. */
export type LocatorPart = Part<LocatorContext, Locator>
/** What runs jobs. */
export type ExecutorPart = Part<ExecutorContext, Executor>
/** Who is told. */
export type SinkPart = Part<SinkContext, Sink>

export interface Door {
  close(): Promise<void>
}

export type Report = (what: Exclude<Input, Command>) => void

export interface DoorContext {
  readonly instance: string
  /** Publishes only while this process is certain to be the active one. */
  readonly bus: Bus
  readonly desk: Desk
  /** Commands that other open doors answer. */
  readonly heardElsewhere: ReadonlySet<string>
  readonly log: Log
}

export interface LocatorContext {
  readonly instance: string
  readonly bus: Bus
  readonly report: Report
  readonly now: () => number
}

export interface ExecutorContext {
  readonly instance: string
  /** The jobs' directories. */
  readonly workDir: string
  /** What can be made again, such as a compiled launcher. */
  readonly cacheDir: string
  readonly report: Report
  /** Acts now, later in order, or never: only the active process starts and stops jobs. */
  readonly whenActive: (act: () => void) => void
  /** Nothing that is left in the work directory can be about this journal's jobs. */
  readonly isJournalNew: boolean
  /** Told when nothing can be started any more, whatever is tried. */
  readonly unreachable: (report: PoolUnreachable) => void
  readonly log: Log
  readonly observe?: Observe | undefined
}

export interface SinkContext {
  readonly instance: string
  readonly bus: Bus
  /** A connection of its own: who reads telemetry too slowly must not hold up events. */
  readonly telemetry: Bus
  /** The stream of retained events. */
  readonly retained: Retained
  /** The last entry of the journal. */
  readonly lastN: number
  readonly log: Log
  readonly observe?: Observe | undefined
}
