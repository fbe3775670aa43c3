import type { Runner } from '../../../machines/domain/pools.ts'

/**
 * One way to start the jobs of a pool: the argv that the launcher is given. What it starts is a foreground program of
 * this machine that lives as long as the job and ends with the job's exit status. To add one: its settings in
 * machines/domain/pools.ts and src/contract/configuration.ts, a file here, and a line in list.ts.
 */
export interface RunnerOf<Kind extends Runner['kind']> {
  argv(runner: Extract<Runner, { kind: Kind }>, pipeline: readonly string[]): readonly string[]
  /** Where its jobs run, for a reader of the journal. */
  where(runner: Extract<Runner, { kind: Kind }>): string
}

/** This machine. */
export const HERE = 'local'
