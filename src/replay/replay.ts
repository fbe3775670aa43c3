import type { Announcement } from '../../machines/domain/announcements.ts'
import type { Said } from '../../machines/domain/messages.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { type Entry, isMark } from '../journal/entry.ts'
import { digestOf } from '../engine/digest.ts'
import { inWords, saidInWords } from '../night/inWords.ts'
import { createWorld, type Effect, type World } from '../engine/world.ts'

/**
 * Folds a recording through the machines of today and holds what they say against the digests of what was said then.
 * Promises the first difference, placed to the entry, and an honest count of what nobody wrote digests of. Nothing is
 * carried out; files are the caller's.
 */
export interface Replayed {
  readonly instance: string
  readonly entries: number
  readonly announcements: number
  /** Entries whose digest was recorded and is the same now. */
  readonly compared: number
  /**
   * Entries that led to something, but the recording ends, or its writer died, before their digests were written down.
   */
  readonly notCovered: number
  /** Times of the first and the last entry, milliseconds since 1970 UTC; null for an empty recording. */
  readonly from: number | null
  readonly to: number | null
  /** Which machines wrote it, in the order they appear; more than one when a new version took over on the way. */
  readonly writtenBy: readonly string[]
  readonly replayedBy: string
  /** null: what could be compared is identical. */
  readonly difference: Difference | null
  readonly elapsedMs: number
}

export interface Difference {
  readonly n: number
  readonly at: number
  /** What came in, in words. */
  readonly heard: string
  /** Who heard something in consequence, and where it went: `job.20261122-000003: active.running → settled`. */
  readonly actors: readonly string[]
  /** What this version says and orders there, one line each. */
  readonly says: readonly string[]
  /** Digests; null: nothing was said or ordered. */
  readonly recorded: string | null
  readonly now: string | null
}

export interface ReplayOptions {
  /** Opens the recording from its beginning; opened again to describe a difference. */
  readonly open: () => AsyncIterable<Entry>
  readonly instance: string
  /** Hears every announcement, in order. */
  readonly onSaid?: (said: { readonly id: string; readonly at: number; readonly announcement: Announcement }) => void
}

/** The fold cannot go on: an entry does not hold what the machines need to hear it. */
export class ReplayError extends Error {}

/**
 * Throws ReplayError, and what reading the recording throws. Stops comparing at the first difference, never folding.
 */
export async function replay({ open, instance, onSaid }: ReplayOptions): Promise<Replayed> {
  const began = performance.now()
  const world = createWorld({ instance })
  const writtenBy = new Set<string>()
  let pending = new Map<number, string>()
  let first: Pick<Entry, 'n' | 'at'> | null = null
  let last: Pick<Entry, 'n' | 'at'> | null = null
  let entries = 0
  let announcements = 0
  let compared = 0
  let broken: Mismatch | null = null

  for await (const entry of open()) {
    first ??= entry
    last = entry
    entries += 1
    const { what } = entry
    if (what.type === 'engine.started') writtenBy.add(what.versions.machines)
    if (isMark(what)) writtenBy.add(what.machines)
    const effects = applied(world, entry)
    for (const effect of effects)
      if (effect.do === 'announce') {
        announcements += 1
        onSaid?.(effect)
      }
    if (broken !== null) continue
    const digest = digestOf(effects)
    if (digest !== null) pending.set(entry.n, digest)
    if (what.type === 'engine.said') {
      const checked = check(what, pending, first.n)
      pending = checked.left
      compared += checked.same
      broken = checked.mismatch
    }
  }

  return {
    instance,
    entries,
    announcements,
    compared,
    notCovered: pending.size,
    from: first?.at ?? null,
    to: last?.at ?? null,
    writtenBy: [...writtenBy],
    replayedBy: MACHINES_VERSION,
    difference: broken === null ? null : await describe(broken, open(), instance),
    elapsedMs: performance.now() - began,
  }
}

interface Mismatch {
  readonly n: number
  readonly recorded: string | null
  readonly now: string | null
}

interface Checked {
  readonly same: number
  readonly mismatch: Mismatch | null
  readonly left: Map<number, string>
}

/** Every entry up to the last one named must have led to what was written down, and to nothing where nothing was. */
function check({ digests }: Said, pending: Map<number, string>, firstN: number): Checked {
  const until = digests.at(-1)?.[0] ?? 0
  const recorded = new Map(digests.filter(([n]) => n >= firstN))
  const numbers = new Set([...recorded.keys(), ...[...pending.keys()].filter(n => n <= until)])
  let same = 0
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const then = recorded.get(n) ?? null
    const now = pending.get(n) ?? null
    if (then !== now) return { same, mismatch: { n, recorded: then, now }, left: new Map() }
    same += 1
  }
  return { same, mismatch: null, left: new Map([...pending].filter(([n]) => n > until)) }
}

/**
 * Folds again up to the entry, now looking at who hears what: looking always would cost the replay half of its speed.
 */
async function describe(
  { n, recorded, now }: Mismatch,
  entries: AsyncIterable<Entry>,
  instance: string,
): Promise<Difference> {
  let actors: string[] | null = null
  const world = createWorld({
    instance,
    observer: {
      stepped({ address, snapshot }, event, before) {
        const from = before === null ? 'new' : dotted(before.value)
        actors?.push(`${address} hears ${event.type}: ${from} → ${dotted(snapshot.value)}`)
      },
    },
  })
  for await (const entry of entries) {
    if (entry.n === n) actors = []
    const effects = applied(world, entry)
    if (entry.n !== n) continue
    return { n, at: entry.at, heard: inWords(entry), actors: actors ?? [], says: saidInWords(effects), recorded, now }
  }
  throw new ReplayError(`entry ${n}, whose digest is in the recording, is not`)
}

function applied(world: World, entry: Entry): readonly Effect[] {
  try {
    return world.apply(entry)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ReplayError(
      `entry ${entry.n} (${entry.what.type}) cannot be replayed: ${why}; was it edited, or written by a much other version?`,
    )
  }
}

/** `{ active: 'running' }` as `active.running`. */
export function dotted(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([name, inner]) => `${name}.${dotted(inner)}`)
    .join(' & ')
}
