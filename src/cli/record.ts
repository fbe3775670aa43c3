import type { Command } from 'commander'
import { examples } from './session.ts'
import type { RecordOptions } from './recordOptions.ts'

/** `ocps record`: what it takes. What it does is in recording.ts, loaded only then. */
export function addRecord(program: Command): void {
  program
    .command('record')
    .summary('export the journal, to be replayed')
    .description(
      'Export the journal of an instance, running or not, as one JSON line per entry: everything that came in, and digests of everything that was said. Only reads.',
    )
    .option('--day <YYYYMMDD>', 'the observing day, noon to noon UTC')
    .option(
      '--from <time>',
      'ISO 8601, e.g. 2026-11-22T22:00:00Z; begins at the last moment before when nothing was open',
    )
    .option('--to <time>', 'ISO 8601, the first moment that is left out')
    .option('-o, --output <file>', 'instead of standard output; compressed if it ends in .gz')
    .option('--gzip', 'compress standard output')
    .option('--data <dir>', 'of an instance that does not run and had a server of its own, as in serve')
    .addHelpText(
      'after',
      examples(`
        ocps record > night.ndjson
        ocps record --day 20261122 -o night.ndjson.gz
        ocps record --data .ocps -o night.ndjson.gz`),
    )
    .action(async (_options: unknown, command: Command) => {
      const { record } = await import('./recording.ts')
      await record(command.optsWithGlobals<RecordOptions>())
    })
}
