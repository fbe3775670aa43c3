import type { AnyMachineSnapshot } from 'xstate'

/**
 * Whether an actor is in a state, spelled with dots: `active`, or `active.running`. The same as XState's `matches`,
 * which splits and joins for every question and is asked here several times for every step of millions of entries.
 */
export function isIn({ value }: Pick<AnyMachineSnapshot, 'value'>, state: string): boolean {
  if (typeof value === 'string') return value === state
  const nested: Readonly<Record<string, unknown>> = value
  for (const name in nested) if (name === state || `${name}.${String(nested[name])}` === state) return true
  return false
}
