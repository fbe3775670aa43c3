/**
 * The settings in force as people see them: each key with its value and where it came from. What may be a secret is
 * masked.
 */
import { masked } from '../bus/serverUrl.ts'
import type { Loaded } from './load.ts'
import { LEAVES } from './schema.ts'

export interface Shown {
  readonly key: string
  /** null: not set. */
  readonly value: unknown
  readonly origin: string
}

export function showSettings({ settings, origins }: Loaded): Shown[] {
  return LEAVES.map(({ key }) => ({
    key,
    value: shown(key.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], settings)),
    origin: origins.get(key) ?? 'default',
  }))
}

/** Only URLs hold secrets; every text is treated as if it were one. */
function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner)]))
  return typeof value === 'string' && value.includes('://') ? masked(value) : value
}
