import { hash } from 'node:crypto'
import type { Effect } from './world.ts'

/**
 * What an entry led to, in twelve characters: a replay that says anything else, or orders anything else, has another
 * digest. null for an entry that led to nothing.
 */
export function digestOf(effects: readonly Effect[]): string | null {
  return effects.length === 0 ? null : hash('sha1', JSON.stringify(effects), 'base64').slice(0, 12)
}
