import type { Command } from 'commander'
import { examples, withOcps } from './session.ts'
import { logLevel } from './values.ts'

/** The verbs that steer what is going on: abort, pause, resume, log-level. */
export function addControl(program: Command): void {
  program
    .command('abort')
    .summary('stop jobs')
    .description('Stop jobs: one that waits never starts, one that runs is ended with all its processes.')
    .argument('<id...>', 'job ids')
    .addHelpText('after', examples('ocps abort 20261122-000042'))
    .action(
      withOcps<[string[]]>(async ({ ocps, out }, ids) => {
        for (const id of ids) {
          const ack = await ocps.abort(id)
          out.say(`${id} is being stopped; "ocps job ${id}" shows how it ended`, { jobId: id, ack })
        }
      }),
    )
  program
    .command('pause')
    .summary('start no more jobs')
    .description('Start no more jobs: running ones go on, new ones are accepted and wait.')
    .addHelpText('after', examples('ocps pause'))
    .action(
      withOcps(async ({ ocps, out }) => {
        const ack = await ocps.pause()
        out.say('the queue is paused; "ocps resume" lets jobs start again', { queue: 'paused', ack })
      }),
    )
  program
    .command('resume')
    .summary('let jobs start again')
    .description('Let jobs start again after pause.')
    .addHelpText('after', examples('ocps resume'))
    .action(
      withOcps(async ({ ocps, out }) => {
        const ack = await ocps.resume()
        out.say('the queue is flowing', { queue: 'flowing', ack })
      }),
    )
  program
    .command('log-level')
    .summary('choose which log messages become events')
    .description('Choose which log messages become events: those of this level and above.')
    .argument('<level>', 'debug, info, warning, error, or a number as in Python', logLevel)
    .addHelpText(
      'after',
      examples(`
        ocps log-level debug
        ocps log-level 30`),
    )
    .action(
      withOcps<[number]>(async ({ ocps, out }, level) => {
        const ack = await ocps.setLogLevel(level)
        out.say(`the log level is ${level}`, { level, ack })
      }),
    )
}
