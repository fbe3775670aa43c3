import { join } from 'node:path'
import type { Command } from 'commander'
import type { JobAnswer, StateAnswer } from '../contract/answers.ts'
import { dataText, duration, moment, number, outcomeText, plain, table } from './format.ts'
import type { Paint } from './output.ts'
import { examples, withOcps } from './session.ts'

/** `ocps job ID`: everything an instance knows of one job, open or settled. */
export function addJob(program: Command): void {
  program
    .command('job')
    .summary('show one job')
    .description('Show one job: state, times, metrics, datasets and how it ended.')
    .argument('<id>', 'as process printed it')
    .addHelpText(
      'after',
      examples(`
        ocps job 20261122-000042
        ocps job 20261122-000042 --json | jq .result.outcome`),
    )
    .action(
      withOcps<[string]>(async ({ ocps, out }, jobId) => {
        const [job, status] = await Promise.all([ocps.job(jobId), ocps.status()])
        const directory = job.directory === null ? null : join(status.workDir, job.directory)
        const datasets = job.datasets.map(dataset => ({
          ...dataset,
          absolutePath: directory === null ? null : join(directory, dataset.path),
        }))
        out.say(page(job, directory, status, out.paint), { ...job, host: status.host, directory, datasets })
      }),
    )
}

function page(job: JobAnswer, directory: string | null, { host }: StateAnswer, paint: Paint): string {
  const { times, result, metrics, datasets, verdict, overrides, configFile, version, askedBy } = job
  const options = [
    ...Object.entries(overrides).map(([key, value]) => `${key}=${value}`),
    ...(configFile === null ? [] : [configFile]),
    ...(version === '' ? [] : [`version ${version}`]),
  ]
  const settled = result?.times.settled ?? null
  const waited = times.started === null ? null : times.started - times.accepted
  const rows = [
    ['job', `${paint('strong', job.jobId)}  ${result === null ? paint('busy', job.state) : job.state}`],
    ['data', dataText(job.dataId)],
    ...(job.dataId.group !== null && job.dataId.obsid !== null ? [['group', job.dataId.group]] : []),
    [
      'pipeline',
      `${job.pipeline}, attempt ${job.attempt}${job.attemptsMax === undefined ? '' : ` of at most ${job.attemptsMax}`}`,
    ],
    ...(options.length === 0 ? [] : [['with', plain(options.join(', '))]]),
    ...(askedBy === null ? [] : [['asked by', `${plain(askedBy)}, message ${plain(job.commandId)}`]]),
    ...(job.note ? [['note', job.note]] : []),
    ['accepted', moment(times.accepted)],
    ['started', `${moment(times.started)}${waited === null ? '' : `, after ${duration(waited)}`}`],
    [
      'settled',
      `${moment(settled)}${settled === null ? '' : `, ${duration(settled - times.accepted)} after it was accepted`}`,
    ],
    ...(result === null ? [] : [['outcome', outcomeText(result.outcome, paint)]]),
    ...(verdict === null ? [] : [['verdict', verdict]]),
    [
      'directory',
      directory === null ? (settled === null ? 'none yet' : 'none: it never ran') : `${directory} on ${host}`,
    ],
  ]
  const parts = [table(rows)]
  if (metrics.length > 0)
    parts.push(
      `metrics\n${table(
        metrics.map(({ metric, value, unit }) => [metric, number(value), unit]),
        '  ',
      )}`,
    )
  if (datasets.length > 0)
    parts.push(
      `datasets\n${table(
        datasets.map(({ dataset, mime, path }) => [dataset, mime, join(directory ?? '', path)]),
        '  ',
      )}`,
    )
  return parts.join('\n')
}
