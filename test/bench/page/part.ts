/** What every part of the page's bench is given and what it gives back, and the arithmetic they share. */
import type { Browser } from 'playwright-core'

export interface Bench {
  /** Of the NATS server. */
  readonly url: string
  readonly browser: Browser
  readonly sizes: {
    readonly lookMs: number
    readonly entries: number
    readonly seeks: number
    readonly measureMs: number
    readonly rounds: number
  }
  /** Where CPU profiles of the page go, as the beginning of a file name; null: none are taken. */
  readonly profileTo: string | null
}

export interface Finding {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly [name: string, ...values: (number | null)[]])[]
  /** What was run, and what it shows, in sentences. */
  readonly meaning: string
}

// With their groups some 5 000 actors.
export const LOAD = { open: 4_400, jobsPerSecond: 1_000 }

/** What it is that changes 1 000 times a second. */
export const STAND_IN =
  'The engine, its journal on a NATS server and the inspector are real and share these cores with the browser; a stand-in settles jobs, since so many processes a second would leave no core for a page.'

export function longest(all: readonly number[]): number {
  return all.reduce((most, one) => Math.max(most, one), 0)
}
