import type { Command } from 'commander'
import type { TransitionCommand } from '../../machines/domain/summaryState.ts'
import type { StateAnswer } from '../contract/answers.ts'
import { state } from './status.ts'
import { examples, type Session, withOcps } from './session.ts'

/**
 * The verbs of the lifecycle: each is one command of salobj's, refused by the instance where its state does not allow
 * it.
 */
const VERBS: readonly { verb: string; command: TransitionCommand | 'reload'; summary: string; example: string }[] = [
  {
    verb: 'reload',
    command: 'reload',
    summary: 'DISABLED or ENABLED: apply new and changed pipelines; open work goes on',
    example: 'ocps config check && ocps reload',
  },
  { verb: 'enable', command: 'enable', summary: 'DISABLED → ENABLED: accept work', example: 'ocps enable' },
  {
    verb: 'disable',
    command: 'disable',
    summary: 'ENABLED → DISABLED: running jobs go on, waiting ones are held',
    example: 'ocps disable',
  },
  {
    verb: 'standby',
    command: 'standby',
    summary: 'DISABLED or FAULT → STANDBY: everything still open is aborted',
    example: 'ocps disable && ocps standby',
  },
  {
    verb: 'exit',
    command: 'exitControl',
    summary: 'STANDBY → OFFLINE: the instance ends',
    example: 'ocps standby && ocps exit',
  },
]

export function addLifecycle(program: Command): void {
  program
    .command('start')
    .summary('STANDBY → DISABLED: apply the configuration')
    .description('STANDBY → DISABLED: apply the configuration.')
    .option('--override <file>', 'the override to apply on top, one of configurationsAvailable')
    .addHelpText(
      'after',
      examples(`
        ocps start
        ocps start --override night.yaml && ocps enable`),
    )
    .action(
      withOcps<[], { override?: string }>(session =>
        send(
          session,
          'start',
          session.options.override === undefined ? {} : { configurationOverride: session.options.override },
        ),
      ),
    )
  for (const { verb, command, summary, example } of VERBS)
    program
      .command(verb)
      .summary(summary)
      .description(`${summary}.`)
      .addHelpText('after', examples(example))
      .action(withOcps(session => send(session, command, {})))
}

async function send(
  { ocps, out }: Session<object>,
  command: TransitionCommand | 'reload',
  body: object,
): Promise<void> {
  const ack = await ocps.command(command, body)
  // An instance that was told to exit does not answer any more.
  const { summaryState } = command === 'exitControl' ? { summaryState: 'OFFLINE' } : await ocps.status()
  const { instance } = ocps
  out.say(`${instance} is ${state(summaryState, out.paint)}`, { instance, summaryState, ack } satisfies {
    summaryState: StateAnswer['summaryState']
    instance: string
    ack: object
  })
}
