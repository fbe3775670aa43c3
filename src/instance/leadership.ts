import type { Bus, LeaseResult } from '../bus/port.ts'
import { type Journal, JournalError } from '../journal/port.ts'
import type { Observe } from '../observer.ts'
import { createGate, type Gate } from './gate.ts'
import { newest } from './newest.ts'

/**
 * Being the active process under a name. Whatever an instance writes, says, publishes or orders is let out here and
 * nowhere else, and only while it is certain that no other process has taken over.
 */
export interface Leadership {
  /** Its first entry is written only when it is certain. */
  readonly journal: Journal
  /** Acts now, later in order, or never. */
  whenSure(act: () => void): void
  /** Whether it would act at once. */
  isSure(): boolean
  /** The same bus, which publishes when it is certain. */
  speaking(bus: Bus): Bus
  /** The same; of what had to wait only so much comes out, the newest. */
  speakingLate(bus: Bus, countMax: number): Bus
  /** Lets nothing out any more. */
  end(): void
}

export interface LeadershipOptions {
  readonly lease: Held
  readonly journal: Journal
  readonly isOurs: () => Promise<boolean>
  readonly onLost: () => void
  readonly observe?: Observe | undefined
}

export type Held = Extract<LeaseResult, { held: true }>

export function lead({ lease, journal, isOurs, onLost, observe }: LeadershipOptions): Leadership {
  const gate = createGate({ lease, isOurs, onLost, observe })
  const first = new FirstEntry(journal, gate)
  return {
    journal: { ...journal, append: entries => first.append(entries) },
    whenSure: act => gate.whenSure(act),
    isSure: () => gate.isSure(),
    speaking: bus => speaking(bus, publish => gate.whenSure(publish)),
    speakingLate: (bus, countMax) => speaking(bus, newest(gate, countMax)),
    end() {
      gate.shut()
      first.refuse()
    },
  }
}

/**
 * The first entry of a life fences off whoever wrote before. One that was so slow to begin that its lease may have run
 * out does not write it: it would fence off the one that has taken over meanwhile, and then nobody would be active.
 */
class FirstEntry {
  readonly #journal: Journal
  readonly #gate: Gate
  readonly #refused = new AbortController()
  #sure: Promise<void> | null = null

  constructor(journal: Journal, gate: Gate) {
    this.#journal = journal
    this.#gate = gate
  }

  async append(entries: Parameters<Journal['append']>[0]): Promise<void> {
    this.#sure ??= this.#whenSure()
    await this.#sure
    await this.#journal.append(entries)
  }

  refuse(): void {
    this.#refused.abort()
  }

  #whenSure(): Promise<void> {
    const { signal } = this.#refused
    const problem = new JournalError('FENCED', 'Another process has taken over before anything was written.')
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(problem)
      signal.addEventListener('abort', () => reject(problem), { once: true })
      this.#gate.whenSure(resolve)
    })
  }
}

/** A bus that publishes only through `through`; everything else is the bus's own. */
function speaking(bus: Bus, through: (publish: () => void) => unknown): Bus {
  return {
    ...bus,
    get server() {
      return bus.server
    },
    publish: (subject, body, headers) => void through(() => bus.publish(subject, body, headers)),
  }
}
