/**
 * What data a job works on, spelled as DMTN-133 and the Butler spell it. Inside, nothing is optional: an exposure-wide
 * job has detector null, a job over no single exposure (a gather) has obsid null.
 */
export interface DataId {
  readonly instrument: string
  /** Observation identifier, e.g. `AT_O_20261122_000017`: telescope, controller, dayObs, seqNum. */
  readonly obsid: string | null
  /** The group of observations that belong together, e.g. `2026-11-22T22:59:05.721#1`; null outside any group. */
  readonly group: string | null
  readonly detector: number | null
}

/**
 * Who a member is inside a group: an identity, never a count. `AT_O_20261122_000017`, or with a detector
 * `AT_O_20261122_000017/94`.
 */
export function memberIdentity({ obsid, detector }: Pick<DataId, 'obsid' | 'detector'>): string {
  return detector === null ? String(obsid) : `${obsid}/${detector}`
}

/**
 * Observing day and sequence number in an obsid like `AT_O_20261122_000017`; null where it is spelled in another way
 * and so says nothing of time. Source: obs_lsst translators, lsst.py.
 */
export function exposureNumbers(obsid: string): { readonly dayObs: number; readonly seqNum: number } | null {
  const [, day, seqNum] = /_(\d{8})_(\d{6})$/.exec(obsid) ?? []
  return day === undefined ? null : { dayObs: Number(day), seqNum: Number(seqNum) }
}

/**
 * Which of two exposures was observed first, whatever came in first: below 0, 0, above 0. 0 as well where an obsid says
 * nothing of time.
 */
export function compareExposures(one: string, other: string): number {
  const [a, b] = [exposureNumbers(one), exposureNumbers(other)]
  return a === null || b === null ? 0 : a.dayObs - b.dayObs || a.seqNum - b.seqNum
}

/**
 * Which of two jobs was accepted first, by their ids `YYYYMMDD-<journal entry>`; 0 for jobs of one command, and where
 * an id is another one.
 */
export function compareJobs(one: string, other: string): number {
  const [a, b] = [JOB.exec(one), JOB.exec(other)]
  return a === null || b === null ? 0 : Number(a[1]) - Number(b[1]) || Number(a[2]) - Number(b[2])
}

const JOB = /^(\d{8})-(\d+)/

/**
 * Spells any text as one token that is legal in a NATS subject, a KV key, an actor address and a file name alike: every
 * byte of the UTF-8 form outside `A-Za-z0-9_-` becomes `=XX`. Reversible, so no two texts share a token.
 */
export function encodeToken(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/gu, character =>
    encodeURIComponent(character).startsWith('%')
      ? encodeURIComponent(character).replaceAll('%', '=')
      : `=${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

/** The directory of a job under the instance's work directory: no job id can name anything outside of that. */
export function jobDirectoryName(jobId: string): string {
  return encodeToken(jobId)
}

/** The text an encoded token stands for. */
export function decodeToken(token: string): string {
  return decodeURIComponent(token.replaceAll('=', '%'))
}

/**
 * The observing day (UTC here; 12 h late, so that one night is one day) a moment belongs to, as YYYYMMDD. Source:
 * obs_lsst translators, lsst.py.
 */
export function dayObs(atMs: number): number {
  const noon = new Date(atMs - 12 * 3_600_000)
  return noon.getUTCFullYear() * 10_000 + (noon.getUTCMonth() + 1) * 100 + noon.getUTCDate()
}
