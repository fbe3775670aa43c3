/**
 * Where an announcement stands among all of them: its id, `<entry>.<place>`, as one number, so that ids are compared at
 * no cost. The simulation looks at every announcement of millions of entries; engine/world.ts compares the few it looks
 * at as they are.
 */
export function rankOf(id: string): number {
  let entry = 0
  let at = 0
  let code = id.charCodeAt(at)
  for (; code !== DOT; code = id.charCodeAt(++at)) entry = entry * 10 + digit(code, id)
  let place = 0
  for (at += 1; at < id.length; at++) place = place * 10 + digit(id.charCodeAt(at), id)
  return entry * PLACES_MAX + place
}

export function entryOf(rank: number): number {
  return Math.floor(rank / PLACES_MAX)
}

const DOT = 46
const ZERO = 48

function digit(code: number, id: string): number {
  const value = code - ZERO
  if (value >= 0 && value <= 9) return value
  throw new Error(`${id} is not the id of an announcement, such as 17.0`)
}

// An entry that leads to more announcements than this would be an operator aborting a million jobs.
const PLACES_MAX = 1_000_000
