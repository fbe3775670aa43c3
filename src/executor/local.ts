import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { ExecutorPart } from '../parts.ts'
import { UserError } from '../userError.ts'
import { createSimulatedExecutor } from './simulated.ts'
import { createSubprocessExecutor } from './subprocess.ts'

/** Every job is a process of this machine. */
export const localExecutor: ExecutorPart = {
  name: 'local',
  settings: z.strictObject({}).default({}),
  async open({ workDir, cacheDir, ...context }) {
    const pipelinesDir = fileURLToPath(new URL('../pipelines', import.meta.url))
    return await createSubprocessExecutor({ ...context, workDir, cacheDir, pipelinesDir }).catch((error: unknown) => {
      const problem = error instanceof Error ? error.message : String(error)
      throw new UserError(
        `pipelines cannot be started here: ${problem}; see that ${workDir} and ${cacheDir} can be written and that cc or perl is installed`,
      )
    })
  },
}

/** Nothing is started (`--simulate`). */
export const simulatedExecutor: ExecutorPart = {
  name: 'simulated',
  settings: z.strictObject({}).default({}),
  open: ({ report }) => createSimulatedExecutor(report),
}
