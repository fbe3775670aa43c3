import { OcpsError } from './errors.ts'

/**
 * Names for groups, made as the ScriptQueue makes them: a moment in TAI, and sub-groups of it by number. Unique within
 * a process; between processes only as far as their clocks differ, as at the telescope.
 */

// TAI - UTC since 2017-01-01 (IERS Bulletin C); no leap second is announced.
const TAI_MINUS_UTC_MS = 37_000

const derived = new Map<string, number>()
let last = 0

/**
 * A sub-group of `base`: `<base>#1`, then `#2`, … counted per base in this process (salobj base_script.py
 * next_supplemented_group_id). Throws OcpsError BAD_REQUEST for an empty base.
 */
export function deriveGroupId(base: string): string {
  if (base === '')
    throw new OcpsError('BAD_REQUEST', 'a sub-group needs the id of its group; give one, or make one with newGroupId()')
  const next = (derived.get(base) ?? 0) + 1
  derived.set(base, next)
  return `${base}#${next}`
}

/**
 * A new group id: the present moment in TAI, ISO with three decimals and no zone, e.g. `2026-11-22T22:59:05.721`
 * (ts_scriptqueue queue_model.py next_group_id). Asked twice within a millisecond it moves on by one. `now`:
 * milliseconds since 1970 UTC.
 */
export function newGroupId(now: number = Date.now()): string {
  last = Math.max(last + 1, Math.trunc(now) + TAI_MINUS_UTC_MS)
  return new Date(last).toISOString().slice(0, 23)
}
