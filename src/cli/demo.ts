import type { Command } from 'commander'
import { type Page, runDemo } from '../demo/demo.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { UserError } from '../userError.ts'
import { LOOPBACK } from './inspectOptions.ts'
import { startInspector } from './inspectorChild.ts'
import { examples, type SharedOptions } from './session.ts'

/**
 * `ocps demo`: the whole way once, from the shutter to the combined image; everything is simulated but OCPS and NATS.
 */
interface Options extends SharedOptions {
  readonly exposures?: string
  readonly data?: string
  readonly keep?: string
  readonly inspect?: boolean
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .summary('see it work, with nothing set up')
    .description(
      'Take simulated exposures, have each measured while the next is taken, and all combined. Starts a NATS server, an instance, a camera and an observing script, and ends them again.',
    )
    .option('-n, --exposures <n>', 'how many; default 5, or as many as there are frames in --data')
    .option('--data <dir>', 'take real frames (*.fits, *.fits.gz) from here, in order, instead of simulated ones')
    .option('--keep <dir>', 'where files go; default a new directory among the temporary ones')
    .option('--inspect', "serve the inspector's page of it, and stay until Ctrl-C")
    .addHelpText(
      'after',
      `${examples(`
        ocps demo
        ocps demo --inspect
        ocps demo --exposures 3 --keep ./night
        ocps demo --data ./frames
        ocps demo --json | tail -1 | jq .stack`)}

With --json: the script's steps, one per line, and as the last line a summary. Lengths in pixels, brightness in adu, times in seconds.`,
    )
    .action(async (_options: unknown, command: Command) => {
      const {
        instance,
        exposures,
        data = null,
        keep = null,
        inspect = false,
        json = false,
      } = command.optsWithGlobals<Options>()
      const code = await runDemo({
        instance,
        exposures: countOf(exposures),
        data,
        keep,
        inspect: inspect ? page : null,
        json,
      })
      // Not process.exitCode: a timer of what was just taken apart must not keep a person waiting.
      process.exit(code)
    })
}

/** On whichever port is free. */
function page(of: { instance: string; nats: NatsSettings }): Promise<Page> {
  return startInspector({
    ...of,
    address: { port: 0, host: LOOPBACK, names: [], token: null, isNewToken: false },
    allowCommands: false,
  })
}

function countOf(text: string | undefined): number | null {
  if (text === undefined) return null
  if (!/^\d{1,4}$/u.test(text)) throw new UserError(`--exposures ${text}: a whole number is expected, such as 5`)
  return Number(text)
}
