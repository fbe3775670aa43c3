import { InvalidArgumentError, Option, type Command } from 'commander'
import type { OutcomeKind } from '../../machines/domain/outcome.ts'
import type { Ocps } from '../client/index.ts'
import { examples, withOcps, type Session } from './session.ts'
import { seconds } from './values.ts'

interface JobsOptions {
  readonly all?: boolean
  readonly obsid?: string
  readonly group?: string
  readonly pipeline?: string
  readonly outcome?: OutcomeKind
  readonly who?: string
  readonly since?: number
  readonly until?: number
  readonly longerThan?: number
  readonly limit: number
  readonly csv?: boolean
}

const OUTCOMES: readonly OutcomeKind[] = ['succeeded', 'failed', 'timedOut', 'aborted', 'lost', 'skipped']
const LIMIT = 1_000

/** `ocps jobs`: what is open, in the order it will run; with --all what has ended. */
export function addJobs(program: Command): void {
  program
    .command('jobs')
    .summary('list open jobs, or with --all those that ended')
    .description(
      'List open jobs: running first, then waiting in the order they will run, then the rest. With --all: those that ended, newest first, of all nights the journal holds; with --json one a line.',
    )
    .option('--all', 'jobs that have ended')
    .option('--obsid <obsid>', 'over this exposure')
    .option('--group <group>', 'of this group')
    .option('--pipeline <name>', 'of this pipeline')
    .addOption(new Option('--outcome <outcome>', 'that ended so').choices(OUTCOMES))
    .option('--who <identity>', 'asked for by this script or person')
    .option('--since <time>', 'settled at this time or later, UTC, such as 2026-11-22T20:00', time)
    .option('--until <time>', 'settled before this time, UTC', time)
    .option('--longer-than <seconds>', 'that ran longer', seconds)
    .option('--limit <number>', 'at most so many', number, LIMIT)
    .option('--csv', 'as comma-separated values, with a header')
    .addHelpText(
      'after',
      examples(`
        ocps jobs
        ocps jobs --json | jq -r '.jobs[].jobId' | xargs -n1 ocps abort
        ocps jobs --all --outcome failed --since 2026-11-22
        ocps jobs --all --pipeline quicklook --longer-than 30 --csv > slow.csv`),
    )
    .action(
      withOcps<[], JobsOptions>(async ({ ocps, out, options }) => {
        const {
          all = false,
          csv = false,
          limit,
          obsid,
          group,
          pipeline,
          outcome,
          who,
          since,
          until,
          longerThan,
        } = options
        const filter = {
          ...(obsid !== undefined && { obsid }),
          ...(group !== undefined && { group }),
          ...(pipeline !== undefined && { pipeline }),
          ...(outcome !== undefined && { outcome }),
          ...(who !== undefined && { askedBy: who }),
          ...(since !== undefined && { since }),
          ...(until !== undefined && { until }),
          ...(longerThan !== undefined && { longerThan }),
        }
        if (!all && !csv && Object.keys(filter).length === 0) return await printOpen(ocps, out)
        const { printHistory } = await import('./history.ts')
        return await printHistory(ocps, filter, { out, csv, limit })
      }),
    )
}

async function printOpen(ocps: Ocps, out: Session<unknown>['out']): Promise<void> {
  const { dataText, duration, table } = await import('./format.ts')
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
}

/** Without a zone it is UTC, as everything here. */
function time(text: string): number {
  const at = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : text.includes('T') ? `${text}Z` : text)
  if (Number.isNaN(at)) throw new InvalidArgumentError('A time is written like 2026-11-22 or 2026-11-22T20:00.')
  return at
}

function number(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('A whole number above 0 is expected.')
  return Number(text)
}
