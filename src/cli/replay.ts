import { type Command, InvalidArgumentError } from 'commander'
import { examples } from './session.ts'
import type { ReplayOptions, Setting } from './replayOptions.ts'
import { siteOption } from './settingOption.ts'

/** `ocps replay`: what it takes. What it does is in replaying*.ts, loaded only then. */
export function addReplay(program: Command): void {
  program
    .command('replay')
    .summary('replay a recording')
    .description(
      `Replay a recording made by "ocps record".

By itself: fold it through the machines of this version and compare what they say with what was said then.
With --config or --set: what would have happened under another configuration; jobs take as long and end as they did.
With --onto: send the recorded commands to an instance that runs.

Exit code 1: something differs from what was said, or with --onto a command was answered otherwise.`,
    )
    .argument('<recording>', 'NDJSON as ocps record writes it; .gz is uncompressed')
    .option('--events <file>', 'write what this version says, one announcement per line, to be compared by diff')
    .option('--config <file|dir>', 'what if: an override file, or a whole configuration directory')
    .option('--config-dir <dir>', 'where the override file lies; default as in serve')
    .addOption(siteOption())
    .option('--set <path=value>', 'what if: one value of the recorded configuration, e.g. groups.policy=fail', setting)
    .option('--onto <url>', 'send the commands to the instance --instance at this NATS server')
    .option('--speed <factor|max>', 'with --onto: so many times as fast as it was', speed, 1)
    .option('--only-data', 'with --onto: leave out start, enable, disable, standby, exitControl and setLogLevel')
    .option('--same-ids', 'with --onto: under the recorded message ids, so that what was executed is not again')
    .addHelpText(
      'after',
      examples(`
        ocps replay night.ndjson.gz
        ocps replay night.ndjson --events said.ndjson
        ocps replay night.ndjson --set slots=4 --set order=newestFirst
        ocps replay night.ndjson --config fewer-slots.yaml --config-dir config
        ocps replay night.ndjson --onto nats://127.0.0.1:4222 --instance TEST --speed max`),
    )
    .action(async (recording: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<ReplayOptions>()
      // The default name of an instance says nothing about a recording.
      const named = command.getOptionValueSourceWithGlobals('instance') === 'default' ? null : options.instance
      if (options.onto !== undefined) {
        const { sendOnto } = await import('./replayingOnto.ts')
        process.exitCode = await sendOnto(recording, options.onto, options)
      } else if (options.config !== undefined || options.set !== undefined) {
        const { supposeOtherwise } = await import('./replayingWhatIf.ts')
        process.exitCode = await supposeOtherwise(recording, named, options)
      } else {
        const { compare } = await import('./replaying.ts')
        process.exitCode = await compare(recording, named, options)
      }
    })
}

function setting(text: string, before: readonly Setting[] = []): readonly Setting[] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('A setting is path=value, such as slots=4 or groups.policy=fail.')
  return [...before, { path: text.slice(0, at).split('.'), value: scalar(text.slice(at + 1)) }]
}

function scalar(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Infinity for max. */
function speed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('A speed is a number above 0, such as 1, 10 or 0.5, or max.')
  return value
}
