import { isMatch } from './versions.ts'

/** Which variables of the service's own environment a job is given. */

/**
 * Never passed on, whatever a pipeline asks for: how OCPS itself logs in to NATS, and what opens its page. A job talks
 * to OCPS by its reports file. The rest of OCPS_* are facts that a job gets anyway.
 */
const KEPT = ['NATS_*', 'OCPS_NATS_*', 'OCPS_SETTINGS', 'OCPS_*TOKEN*', 'OCPS_*PASSWORD*']

export function isKept(name: string): boolean {
  return KEPT.some(pattern => isMatch(pattern, name))
}

/** By name, or by a pattern with `*` and `?`. */
export function isPassedOn(name: string, patterns: readonly string[]): boolean {
  return !isKept(name) && patterns.some(pattern => isMatch(pattern, name))
}
