import type { OutcomeKind } from '../machines/domain/outcome.ts'

/**
 * What an instance can be counted and timed by. Threaded like the log: a part that has something to tell takes
 * `observe?: Observe`. Where nobody listens, nothing is measured.
 */
export const OBSERVATIONS = {
  commandsAccepted: { as: 'count', by: null, says: 'Commands that were accepted.' },
  commandsRefused: { as: 'count', by: 'code', says: 'Commands that were refused, by the code of the refusal.' },
  journalAppends: { as: 'count', by: null, says: 'Appends to the journal.' },
  journalBatchEntries: { as: 'value', by: null, says: 'Entries of one append.' },
  journalAppendMs: { as: 'value', by: null, says: 'Time until an append is confirmed, milliseconds.' },
  turnMs: {
    as: 'value',
    by: null,
    says: 'Time the event loop is kept by one entry: machines, announcements and orders, milliseconds.',
  },
  steps: { as: 'count', by: null, says: 'Events delivered to machines.' },
  jobsStarted: { as: 'count', by: null, says: 'Attempts of jobs whose process has started.' },
  jobsSettled: { as: 'count', by: 'outcome', says: 'Jobs that ended, by their outcome.' },
  announcementsSaid: {
    as: 'count',
    by: 'kind',
    says: 'Announcements that left, by kind: acknowledgement, event, telemetry.',
  },
  eventsUnstored: { as: 'level', by: null, says: 'Events published and not yet confirmed by their stream.' },
  gateWaits: { as: 'count', by: null, says: 'Messages and orders held back because the lease might have run out.' },
  leaseLapses: { as: 'count', by: null, says: 'Times the lease had run out and was taken again.' },
  launcherDeaths: { as: 'count', by: null, says: 'Launchers that died or were replaced.' },
  reportFilesFollowed: { as: 'level', by: null, says: 'Reports files of running jobs that are being read.' },
  busReconnects: { as: 'count', by: null, says: 'Reconnections to the NATS server.' },
  heartbeatLateMs: { as: 'value', by: null, says: 'How late a heartbeat left, milliseconds.' },
  foreignMessages: { as: 'count', by: null, says: 'Messages in the journal that no journal wrote; skipped.' },
} as const satisfies Readonly<Record<string, Observation>>

export interface Observation {
  /** count: add it up. value: one measurement of many. level: what it is now. */
  readonly as: 'count' | 'value' | 'level'
  /** What it is told apart by. */
  readonly by: keyof Labels | null
  readonly says: string
}

interface Labels {
  readonly code: string
  readonly outcome: OutcomeKind
  readonly kind: 'ack' | 'event' | 'telemetry'
}

export type Observed = keyof typeof OBSERVATIONS

type LabelOf<Name extends Observed> = (typeof OBSERVATIONS)[Name]['by'] extends infer By
  ? By extends keyof Labels
    ? [label: Labels[By]]
    : []
  : never

/** Called often and from the middle of things: it only notes, never waits, never throws. */
export type Observe = <Name extends Observed>(name: Name, value: number, ...label: LabelOf<Name>) => void
