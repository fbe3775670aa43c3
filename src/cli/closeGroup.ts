import { type Command, Option } from 'commander'
import type { GroupResult } from '../../machines/domain/announcements.ts'
import type { CommandBody } from '../client/index.ts'
import { UserError } from '../userError.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { metricText } from './format.ts'
import type { Paint } from './output.ts'
import { examples, type Session, withOcps } from './session.ts'
import { seconds } from './values.ts'
import { inTime } from './waiting.ts'

/** `ocps close-group`: nothing more belongs to the group; combine it. */
interface Options {
  readonly pipeline?: string
  readonly policy?: 'partial' | 'skip' | 'fail'
  readonly patience?: number
  readonly id?: string
  readonly wait?: boolean
  readonly timeout?: number
}

export function addCloseGroup(program: Command): void {
  program
    .command('close-group')
    .summary('close a group and combine it')
    .description('Close a group: nothing more belongs to it, and its members are combined once they have settled.')
    .argument('<group>', 'the group')
    .option('-p, --pipeline <name>', 'the pipeline that combines it; default the one the group was given, or none')
    .addOption(
      new Option('--policy <policy>', 'what to do when members failed or are missing').choices([
        'partial',
        'skip',
        'fail',
      ]),
    )
    .option('--patience <s>', 'wait so long for members that are still running', seconds)
    .option('--id <id>', 'the message id: the same again is executed once')
    .option('-w, --wait', 'wait for the result; exit code 0 if it is complete, partial or skipped by policy')
    .option('--timeout <s>', 'wait at most so long', seconds)
    .addHelpText(
      'after',
      examples(`
        ocps close-group 2026-11-22T22:59:05.721#1 --pipeline stack --wait
        ocps close-group 2026-11-22T22:59:05.721#1 -p stack --policy fail --patience 60`),
    )
    .action(withOcps<[string], Options>(run))
}

async function run({ ocps, out, options }: Session<Options>, name: string): Promise<ExitCode> {
  const { pipeline, policy, patience, id, wait, timeout } = options
  if (timeout !== undefined && wait !== true) throw new UserError('--timeout needs --wait')
  const body: Omit<CommandBody<'closeGroup'>, 'group'> = {
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(policy === undefined ? {} : { policy }),
    ...(patience === undefined ? {} : { patience }),
  }
  const group = await ocps.closeGroup(name, body, id === undefined ? {} : { id })
  if (wait !== true) {
    out.say(`group ${name} is closed; "ocps group '${name}'" shows what becomes of it`, {
      group: name,
      ack: group.acknowledged,
    })
    return EXIT.DONE
  }
  const states = async () => {
    for await (const { state, settled, accepted } of group.states)
      out.say(out.paint('faint', `${state}, ${settled} of ${accepted} members settled`), {
        type: 'state',
        group: name,
        state,
        settled,
        accepted,
      })
  }
  const told = states()
  const result = await inTime(
    group.result,
    timeout,
    () => `group ${name} was not combined within ${timeout} s; it goes on, see "ocps group"`,
  )
  await told
  out.say(groupResultText(result, out.paint), { type: 'result', ...result })
  return ['complete', 'partial', 'skipped'].includes(result.outcome) ? EXIT.DONE : EXIT.FAILED
}

// A page; --json has them all.
const LISTED_MAX = 20

export function groupResultText(result: GroupResult, paint: Paint): string {
  const { outcome, message, metrics, failed, missing, missingCount = 0, revision, jobId } = result
  const good = outcome === 'complete' || outcome === 'skipped'
  const list = (what: string, names: readonly string[]) =>
    names.length === 0
      ? []
      : [
          `  ${what}: ${names.slice(0, LISTED_MAX).join(', ')}${names.length > LISTED_MAX ? `, and ${names.length - LISTED_MAX} more` : ''}`,
        ]
  return [
    `${paint(good ? 'good' : outcome === 'partial' ? 'busy' : 'bad', outcome)} (revision ${revision}): ${message}`,
    ...(jobId === null ? [] : [`  combined by job ${jobId}`]),
    ...metrics.map(metric => `  ${metricText(metric)}`),
    ...list('failed', failed),
    ...list('missing', missing),
    ...(missingCount > missing.length ? [`  never came: ${missingCount - missing.length}`] : []),
  ].join('\n')
}
