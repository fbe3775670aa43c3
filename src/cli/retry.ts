import type { Command } from 'commander'
import { UserError } from '../userError.ts'
import { dataText, table } from './format.ts'
import { examples, withOcps } from './session.ts'
import { override } from './values.ts'

/** `ocps retry` and `ocps shelf`: what ended without success, and running it again. */
interface Options {
  readonly obsid?: string
  readonly group?: string
  readonly night?: string
  readonly pipeline?: string
  readonly override?: Record<string, number | string | boolean>
  readonly pipelineVersion?: string
}

export function addRetry(program: Command): void {
  program
    .command('retry')
    .summary('run again what ended without success')
    .description(
      'Run again what ended without success: one job, or all of an exposure, a group or a night; as it was, or with another pipeline or version. Each new job names the first of its kind.',
    )
    .argument('[job]', 'a job id')
    .option('--obsid <id>', 'all of an exposure')
    .option('-g, --group <id>', 'all of a group; it is combined again when they have settled')
    .option('--night <day>', 'all of a night, as YYYYMMDD')
    .option('-p, --pipeline <name>', 'with this pipeline instead')
    .option('--override <name=value>', 'with this setting instead; may be repeated', override)
    .option('--pipeline-version <name>', 'with this software version instead')
    .addHelpText(
      'after',
      examples(`
        ocps retry 20261122-000042
        ocps retry --night 20261122 --pipeline-version w_2026_47`),
    )
    .action(
      withOcps<[string | undefined], Options>(async ({ ocps, out, options }, jobId) => {
        const ack = await ocps.command('retry', {
          ...meant(jobId, options),
          ...(options.pipeline !== undefined && { pipeline: options.pipeline }),
          ...(options.override !== undefined && { overrides: options.override }),
          ...(options.pipelineVersion !== undefined && { version: options.pipelineVersion }),
        })
        out.say(ack.jobIds.join('\n'), { jobIds: ack.jobIds, ack })
      }),
    )
  program
    .command('shelf')
    .summary('list jobs that ended without success')
    .description('List jobs that ended without success and can be retried, oldest first; the newest 2000 are kept.')
    .addHelpText('after', examples(`ocps shelf --json | jq -r '.jobs[].jobId'`))
    .action(
      withOcps(async ({ ocps, out }) => {
        const { jobs } = await ocps.shelf()
        const rows = jobs.map(one => [
          one.jobId,
          one.outcome,
          one.pipeline,
          dataText(one.dataId),
          one.retryOf === null ? '' : `retry of ${one.retryOf}`,
        ])
        out.say(rows.length === 0 ? 'the shelf is empty' : table(rows), { jobs })
      }),
    )
}

function meant(jobId: string | undefined, { obsid, group, night }: Options) {
  const given = [jobId, obsid, group, night].filter(one => one !== undefined)
  if (given.length !== 1) throw new UserError('name one thing to retry: a job, --obsid, --group or --night')
  if (jobId !== undefined) return { jobId }
  if (obsid !== undefined) return { obsid }
  if (group !== undefined) return { group }
  if (!/^\d{8}$/.test(night ?? '')) throw new UserError('--night is a day like 20261122')
  return { dayObs: Number(night) }
}
