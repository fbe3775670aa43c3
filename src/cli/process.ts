import { type Command, Option } from 'commander'
import type { JobResult } from '../../machines/domain/announcements.ts'
import type { CommandBody } from '../client/index.ts'
import type { Job } from '../client/jobs.ts'
import { UserError } from '../userError.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { dataText, metricText, outcomeText } from './format.ts'
import { examples, type Session, withOcps } from './session.ts'
import { detectorList, idList, override, priority, seconds } from './values.ts'
import { inTime } from './waiting.ts'

/**
 * `ocps process`: one processData per exposure; says the job ids, and with --wait what the jobs say and how they end.
 */
interface Options {
  readonly pipeline: string
  readonly detector?: number[]
  readonly group?: string
  readonly override?: Record<string, number | string | boolean>
  readonly configFile?: string
  readonly pipelineVersion?: string
  readonly priority?: number
  readonly after?: string[]
  readonly waitForData?: number
  readonly skipUnlessIngested?: boolean
  readonly timeLimit?: number
  readonly id?: string
  readonly wait?: boolean
  readonly follow?: boolean
  readonly timeout?: number
}

export function addProcess(program: Command): void {
  program
    .command('process')
    .summary('process exposures with a pipeline')
    .description(
      'Process exposures with a pipeline. Prints the id of each job once it is accepted, which means: on disk.',
    )
    .argument('<obsid...>', 'exposures, such as AT_O_20261122_000017')
    .requiredOption('-p, --pipeline <name>', 'the pipeline')
    .option('-d, --detector <list>', 'one job for each, such as 0,1,90..98', detectorList)
    .option('-g, --group <id>', 'the group the exposures belong to')
    .option('--override <name=value>', 'a setting of the pipeline; may be repeated', override)
    .option('--config-file <name>', 'a configuration file the pipeline allows')
    .option('--pipeline-version <name>', 'the software version to run, such as w_2026_46')
    .option('--priority <n>', '-9 to 9; higher runs sooner', priority)
    .option('--after <ids>', 'jobs that must have succeeded before, separated by commas', idList)
    .addOption(
      new Option('--wait-for-data <s>', 'wait so long for the data to be ingested, then skip')
        .argParser(seconds)
        .conflicts('skipUnlessIngested'),
    )
    .option('--skip-unless-ingested', 'run only if the data are ingested now')
    .option('--time-limit <s>', 'stop the pipeline after so many seconds', seconds)
    .option('--id <id>', 'the message id: the same again is executed once (with several exposures: its beginning)')
    .option('-w, --wait', 'wait for the end; print metrics as they come')
    .option('-f, --follow', 'wait, and print progress too')
    .option('--timeout <s>', 'wait at most so long', seconds)
    .addHelpText(
      'after',
      examples(`
        ocps process AT_O_20261122_000017 --pipeline quicklook --wait
        ocps process MC_O_20261122_000017 -p quicklook --detector 0,1,90..98 --group 2026-11-22T22:59:05.721#1
        job=$(ocps process AT_O_20261122_000017 -p quicklook --override threshold=4.5)
        ocps process AT_O_20261122_000018 -p quicklook --after "$job" --wait-for-data 30
        ocps process AT_O_20261122_000017 -p quicklook --wait --json | jq 'select(.type == "metric")'`),
    )
    .action(withOcps<[string[]], Options>(run))
}

async function run(session: Session<Options>, obsids: string[]): Promise<ExitCode> {
  const { ocps, out, options } = session
  if (new Set(obsids).size < obsids.length) throw new UserError('an exposure is named twice; name each once')
  const waits = options.wait === true || options.follow === true
  if (options.timeout !== undefined && !waits) throw new UserError('--timeout needs --wait or --follow')
  const jobs: Job[] = []
  const following: Promise<readonly JobResult[]>[] = []
  for (const obsid of obsids) {
    const job = await ocps.processData(bodyOf(obsid, options), sendOptions(obsid, obsids.length, options))
    jobs.push(job)
    if (!waits) {
      if (!out.json) out.say(job.jobIds.join('\n'), null)
      continue
    }
    out.say(job.jobIds.map(jobId => `${jobId} accepted: ${options.pipeline} of ${obsid}`).join('\n'), {
      type: 'accepted',
      obsid,
      jobIds: job.jobIds,
    })
    following.push(follow(session, job))
  }
  if (!waits) {
    if (out.json) out.say('', { jobs: jobs.map(({ jobIds }, at) => ({ obsid: obsids[at], jobIds })) })
    return EXIT.DONE
  }
  const all = await inTime(
    Promise.all(following),
    options.timeout,
    () => `the jobs did not end within ${options.timeout} s; they go on, see "ocps jobs"`,
  )
  return all.flat().every(({ outcome }) => outcome.kind === 'succeeded') ? EXIT.DONE : EXIT.FAILED
}

/** Says what a command's jobs say until all have ended. */
async function follow({ out, options }: Session<Options>, job: Job): Promise<readonly JobResult[]> {
  const metrics = async () => {
    for await (const metric of job.metrics)
      out.say(`${metric.jobId} ${metricText(metric)}`, { type: 'metric', ...metric })
  }
  const progress = async () => {
    for await (const { jobId, fraction, note, ...rest } of job.progress) {
      const done = fraction === null ? '' : ` ${Math.round(fraction * 100)} %`
      const text = out.paint('faint', `${jobId}${done}${note === '' ? '' : ` ${note}`}`)
      out.say(text, { type: 'progress', jobId, fraction, note, ...rest })
    }
  }
  await Promise.all([metrics(), ...(options.follow === true ? [progress()] : [])])
  const results = await job.results
  for (const result of results)
    out.say(
      `${result.jobId} ${dataText(result.dataId)} ${outcomeText(result.outcome, out.paint)}${result.verdict === null ? '' : `; verdict: ${result.verdict}`}`,
      { type: 'result', ...result },
    )
  return results
}

function bodyOf(obsid: string, options: Options): CommandBody<'processData'> {
  const { detector, group, configFile, after, priority: first, timeLimit, pipelineVersion, waitForData } = options
  return {
    dataId: { obsid, ...(detector === undefined ? {} : { detector }) },
    pipeline: options.pipeline,
    ...(group === undefined ? {} : { group }),
    ...(options.override === undefined ? {} : { overrides: options.override }),
    ...(configFile === undefined ? {} : { configFile }),
    ...(pipelineVersion === undefined ? {} : { version: pipelineVersion }),
    ...(first === undefined ? {} : { priority: first }),
    ...(after === undefined ? {} : { after }),
    ...(waitForData === undefined ? {} : { readiness: { waitFor: waitForData } }),
    ...(options.skipUnlessIngested === true ? { readiness: 'skip' as const } : {}),
    ...(timeLimit === undefined ? {} : { timeLimit }),
  }
}

function sendOptions(obsid: string, count: number, { id }: Options) {
  return id === undefined ? {} : { id: count === 1 ? id : `${id}.${obsid}` }
}
