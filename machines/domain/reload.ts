import type { ConfigurationApplied } from './commands.ts'
import type { Configuration } from './configuration.ts'

/** What a reload may change: everything but what jobs and commands that are open count on. */

/** Of the configuration that is applied, what only `start` changes. */
export type Fixed = Pick<Configuration, 'instrument' | 'mode' | 'slots' | 'pools' | 'prefetch'>

export function fixedOf({ instrument, mode, slots, pools, prefetch }: Configuration): Fixed {
  return { instrument, mode, slots, ...(pools && { pools }), ...(prefetch !== undefined && { prefetch }) }
}

/** What a reload would have to change and may not, such as `slots (2 → 4)`; null: nothing. */
export function needsStart(before: Fixed, after: Configuration): string | null {
  const pairs: readonly (readonly [string, string | number, string | number])[] = [
    ['instrument', before.instrument, after.instrument],
    ['mode', before.mode, after.mode],
    ['slots', before.slots, after.slots],
    ['pools', inWords(before.pools), inWords(after.pools)],
    ['prefetch', before.prefetch ?? 0, after.prefetch ?? 0],
  ]
  const changed = pairs.filter(([, was, is]) => was !== is)
  return changed.length === 0 ? null : changed.map(([key, was, is]) => `${key} (${was} → ${is})`).join(', ')
}

/** How a pool starts its jobs may change: that counts for the next one. */
function inWords(pools: Configuration['pools'] = {}): string {
  return (
    Object.entries(pools)
      .map(([name, { slots }]) => `${name} ${slots}`)
      .sort()
      .join(' and ') || 'none'
  )
}

/** The override that `start` named; '' for none. A site's layers begin with _. */
export function overrideOf({ configurations }: Pick<ConfigurationApplied, 'configurations'>): string {
  return configurations.split(',').find(file => !file.startsWith('_')) ?? ''
}
