/**
 * How much is measured. The whole bench takes about a quarter of an hour on two quiet cores; it prints the minutes it
 * took.
 */
export interface Sizes {
  readonly rounds: number
  readonly concurrencies: readonly number[]
  /** Jobs of /bin/true. */
  readonly trues: number
  readonly sleeps: number
  /**
   * Over all rounds and concurrencies: a frame takes half a second of a core, and every round is compared with its own
   * bare loop.
   */
  readonly quicklooks: number
  readonly watched: number
  readonly members: number
  readonly gathers: number
  /** The queue is not filled deeper. */
  readonly depthMax: number
  /** Jobs into and out of a queue of some depth, and how often. */
  readonly batch: number
  readonly batches: number
  readonly liveMax: number
  /** Messages to the bare message server. */
  readonly messages: number
}

export const FULL: Sizes = {
  rounds: 3,
  concurrencies: [2, 8],
  trues: 1_000,
  sleeps: 200,
  quicklooks: 60,
  watched: 100,
  members: 189,
  gathers: 3,
  depthMax: 100_000,
  batch: 1_000,
  batches: 3,
  liveMax: 200,
  messages: 5_000,
}

export const QUICK: Sizes = {
  ...FULL,
  rounds: 1,
  trues: 200,
  sleeps: 24,
  quicklooks: 4,
  watched: 20,
  gathers: 1,
  depthMax: 10_000,
  batch: 200,
  batches: 2,
  liveMax: 20,
  messages: 1_000,
}
