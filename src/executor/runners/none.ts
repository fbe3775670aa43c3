import { HERE, type RunnerOf } from './runner.ts'

/** Starts a pipeline as it is. */
export const none: RunnerOf<'none'> = {
  argv: (_, pipeline) => pipeline,
  where: () => HERE,
}
