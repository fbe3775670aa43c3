import type { Runner } from '../../../machines/domain/pools.ts'
import { none } from './none.ts'
import { prefix } from './prefix.ts'
import type { RunnerOf } from './runner.ts'

const RUNNERS: { readonly [Kind in Runner['kind']]: RunnerOf<Kind> } = { none, prefix }

/** A runner with its settings: what the executor needs of it for one job. */
export interface Starter {
  argv(pipeline: readonly string[]): readonly string[]
  readonly where: string
}

export function starterOf<Kind extends Runner['kind']>(runner: Extract<Runner, { kind: Kind }>): Starter {
  const one = RUNNERS[runner.kind]
  return { argv: pipeline => one.argv(runner, pipeline), where: one.where(runner) }
}
