import type { Command } from 'commander'
import { dataText, duration, table } from './format.ts'
import { examples, withOcps } from './session.ts'

/** `ocps jobs`: what is open, in the order it will run. */
export function addJobs(program: Command): void {
  program
    .command('jobs')
    .summary('list open jobs')
    .description('List open jobs: running first, then waiting in the order they will run, then the rest.')
    .addHelpText(
      'after',
      examples(`
        ocps jobs
        ocps jobs --json | jq -r '.jobs[].jobId' | xargs -n1 ocps abort`),
    )
    .action(
      withOcps(async ({ ocps, out }) => {
        const { jobs, open } = await ocps.jobs()
        const now = Date.now()
        const rows = jobs.map(({ jobId, state, pipeline, dataId, attempt, times }) => [
          jobId,
          state,
          pipeline,
          dataText(dataId),
          `attempt ${attempt}`,
          `for ${duration(now - times.accepted)}`,
        ])
        const more = open > jobs.length ? `\nand ${open - jobs.length} more` : ''
        out.say(rows.length === 0 ? 'no open jobs' : table(rows) + more, { jobs, open })
      }),
    )
}
