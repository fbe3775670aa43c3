import type { Caller, Command, LoadedConfiguration } from '../../machines/domain/commands.ts'
import type { Input } from '../../machines/domain/messages.ts'
import type { Locator } from '../../machines/ports.ts'
import type { Decoded } from '../../src/contract/commands.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import type { World } from '../../src/engine/world.ts'
import type { Agenda } from './agenda.ts'
import type { Processes } from './processes.ts'
import type { Promises } from './promises.ts'

/**
 * One instance through its lives, as a night sees it. Two keep this: direct.ts steps the world synchronously and is
 * fast, whole.ts runs the engine with its inbox, answers and journal. Both journal first, and both lose with a life
 * what was not journaled.
 */
export interface Site {
  /**
   * A process begins over the journal there is. What was said up to `known` is known to have been said; what was said
   * `after` it must be said again.
   */
  begin(known: string | null, after: readonly Numbered[]): void
  /** The process dies. What is being appended: cut, it never was; stored, it is in the journal and nobody knows. */
  kill(appending: 'cut' | 'stored'): void
  /** null while no process leads. */
  readonly world: () => World | null
  command(command: Decoded, caller: Caller): void
  input(what: Exclude<Input, Command>, door: 'report' | 'engine'): void
  /** The next append takes so long. */
  slow(ms: number): void
  /** The next append finds no space. */
  fill(): void
  /** Another process takes over while the old one lives on and does not know yet. */
  supersede(): void
  readonly entries: () => number
  /** The newest quiescent entry, 0 for none: recovery begins there. */
  readonly quietN: () => number
  /** Lets what waits resolve; null where nothing ever waits. */
  turn(): Promise<void> | null
  /** Holds what is there to the promises, where that is not done entry by entry. */
  verify(): void
  /** Whether all that came in is delivered. */
  isSettled(): boolean
  /** The journal, line by line. */
  readonly lines: () => readonly string[]
}

export interface SiteOptions {
  readonly agenda: Agenda
  readonly promises: Promises
  readonly processes: Processes
  readonly locator: (report: (what: Exclude<Input, Command>) => void) => Locator
  readonly say: (said: Numbered) => void
  /** What was said and may not be among the stored events yet. */
  readonly unsaid: () => readonly Numbered[]
  readonly loadConfiguration: (configurationOverride: string) => LoadedConfiguration
  /** The process dies at a moment the site has chosen. */
  readonly die: () => void
  /** Whether a second world follows the journal line by line. */
  readonly isInLockstep: boolean
  /** Draws 0 ≤ u < 1 for decisions of the site. */
  readonly draw: () => number
}

export const INSTANCE = 'LATISS'
