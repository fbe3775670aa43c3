import { type Command, InvalidArgumentError } from 'commander'
import { examples } from './session.ts'
import { seconds } from './values.ts'
import type { TopOptions } from './topOptions.ts'

/** `ocps top`: what it takes. What it does is in topLive.ts, loaded only then. */
export function addTop(program: Command): void {
  program
    .command('top')
    .summary('the night at a glance, in the terminal')
    .description(
      'Show the night at a glance, again every second until q or Ctrl-C: who is active, the queue and why jobs wait, what runs, groups filling, what failed last, rate and latency. Only reads. Where there is no terminal it prints once.',
    )
    .option('-n, --iterations <n>', 'print so many times and end', times)
    .option('-d, --delay <s>', 'seconds between two times', seconds, 1)
    .addHelpText(
      'after',
      examples(`
        ocps top
        ocps top -n 1
        ocps top --json | jq .latency.ran.p90`),
    )
    .action(async (_options: unknown, command: Command) => {
      const { top } = await import('./topLive.ts')
      await top(command.optsWithGlobals<TopOptions>())
    })
}

function times(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('A whole number above 0, such as 1.')
  return Number(text)
}
