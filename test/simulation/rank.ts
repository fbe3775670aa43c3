/**
 * Where an announcement stands among all of them: its id, `<entry>.<place>`, as one number, so that ids are compared at no cost. The simulation looks at
 * every announcement of millions of entries; engine/world.ts compares the few it looks at as they are.
 */
export function rankOf(id: string): number {
  const dot = id.indexOf('.')
  return Number(id.slice(0, dot)) * PLACES_MAX + Number(id.slice(dot + 1))
}

export function entryOf(rank: number): number {
  return Math.floor(rank / PLACES_MAX)
}

// An entry that leads to more announcements than this would be an operator aborting a million jobs.
const PLACES_MAX = 1_000_000
