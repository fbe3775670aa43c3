import { HERE, type RunnerOf } from './runner.ts'

/**
 * Puts a program of this machine before the pipeline, such as `nice -n 10`, `env OMP_NUM_THREADS=1` or `taskset -c 1`,
 * that becomes the pipeline or ends as it does.
 */
export const prefix: RunnerOf<'prefix'> = {
  argv: ({ argv }, pipeline) => [...argv, ...pipeline],
  where: () => HERE,
}
