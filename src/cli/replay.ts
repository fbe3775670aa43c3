import type { Command } from 'commander'
import { examples, type SharedOptions } from './session.ts'

/** `ocps replay`: what it takes. What it does is in replaying*.ts, loaded only then. */
export interface ReplayOptions extends SharedOptions {
  readonly events?: string
}

export function addReplay(program: Command): void {
  program
    .command('replay')
    .summary('replay a recording')
    .description(
      'Replay a recording made by "ocps record". By itself: fold it through the machines of this version and compare what they say with what was said. Exit code 1: something differs.',
    )
    .argument('<recording>', 'NDJSON as ocps record writes it; .gz is uncompressed')
    .option('--events <file>', 'write what this version says, one announcement per line, to be compared by diff')
    .addHelpText(
      'after',
      examples(`
        ocps replay night.ndjson.gz
        ocps replay night.ndjson --events said.ndjson`),
    )
    .action(async (recording: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReplayOptions>()
      // The default name of an instance says nothing about a recording.
      const named = command.getOptionValueSourceWithGlobals('instance') === 'default' ? null : options.instance
      const { compare } = await import('./replaying.ts')
      process.exitCode = await compare(recording, named, options)
    })
}
