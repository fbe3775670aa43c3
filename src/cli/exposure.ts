import type { Command } from 'commander'
import type { ExposureAnswer } from '../contract/history.ts'
import { EXIT } from './exitCodes.ts'
import { metricText, plain, table } from './format.ts'
import { row } from './history.ts'
import type { Paint } from './output.ts'
import { examples, withOcps } from './session.ts'

/** `ocps exposure OBSID`: all that is known of one exposure, over all jobs and nights that the journal holds. */
export function addExposure(program: Command): void {
  program
    .command('exposure')
    .summary('show every job over an exposure')
    .description('Show every job over an exposure, open or ended, with its metrics and verdict. Exit code 1: none.')
    .argument('<obsid>', 'such as AT_O_20261122_000017')
    .addHelpText(
      'after',
      examples(`
        ocps exposure AT_O_20261122_000017
        ocps exposure AT_O_20261122_000017 --json | jq '.jobs[].metrics'`),
    )
    .action(
      withOcps<[string]>(async ({ ocps, out }, obsid) => {
        const answer = await ocps.exposure(obsid)
        out.say(page(answer, out.paint), answer)
        return answer.open.length + answer.jobs.length === 0 ? EXIT.FAILED : EXIT.DONE
      }),
    )
}

function page({ obsid, open, jobs, total }: ExposureAnswer, paint: Paint): string {
  if (open.length + jobs.length === 0) return `no job over ${plain(obsid)} is known`
  const parts: string[] = []
  if (open.length > 0)
    parts.push(table(open.map(({ jobId, state, pipeline, attempt }) => [jobId, state, pipeline, `attempt ${attempt}`])))
  for (const job of jobs) {
    const { metrics, verdict } = job
    const more = [...metrics.map(metricText), ...(verdict === null ? [] : [`verdict: ${verdict}`])]
    parts.push([table([row(job, paint)]), ...more.map(text => `  ${text}`)].join('\n'))
  }
  if (total > jobs.length) parts.push(`and ${total - jobs.length} older ones: ocps jobs --all --obsid ${plain(obsid)}`)
  return parts.join('\n')
}
