import type { Command } from 'commander'
import { examples, type SharedOptions } from './session.ts'
import { INSPECTOR_PORT, LOOPBACK, TOKEN_VARIABLE, type InspectOptions } from './inspectOptions.ts'

/** `ocps inspect` and `ocps explain`: what they take. What they do is in inspecting.ts, loaded only then. */
export function addInspect(program: Command): void {
  program
    .command('inspect')
    .argument('[recording]', 'a recording (.ndjson, .ndjson.gz) instead of what is live')
    .summary('look at an instance, or at a recorded night, in a browser')
    .description(
      'Serve a page that shows an instance live: statecharts, queue, groups, metrics, images, and any moment of the night again. Only reads unless --allow-commands is given, and goes on while OCPS restarts. With a recording it writes one HTML file that needs no server.',
    )
    .option('-p, --port <port>', 'where the page is; 0 for any free one', INSPECTOR_PORT)
    .option('--host <address>', 'the address to listen on; any but loopback asks for a token', LOOPBACK)
    .option('--host-name <name...>', 'names it is asked by, such as that of a reverse proxy before it', [])
    .option('--token <token>', `what who looks must bring (or ${TOKEN_VARIABLE}, which no list of processes shows)`)
    .option('--allow-commands', 'let the page send lifecycle, pause, resume, abort, close and retry; each is confirmed')
    .option('-o, --output <file>', 'with a recording: the HTML file; default its name with .html')
    .addHelpText(
      'after',
      examples(`
        ocps inspect
        ocps inspect --url nats://nats.example:4222 --port 0
        ocps inspect --host 0.0.0.0 --allow-commands
        ocps inspect --host-name inspector.example.org
        ocps record -o night.ndjson.gz && ocps inspect night.ndjson.gz -o night.html`),
    )
    .action(async (recording: string | undefined, _options: unknown, command: Command) => {
      const { inspect } = await import('./inspecting.ts')
      await inspect(command.optsWithGlobals<InspectOptions>(), recording)
    })
  program
    .command('explain')
    .argument('<id>', 'a job or a group')
    .summary('why a job or a group waits, or how it ended, in one sentence')
    .addHelpText('after', examples('ocps explain 20261122-000017'))
    .action(async (id: string, _options: unknown, command: Command) => {
      const { explainTo } = await import('./inspecting.ts')
      await explainTo(command.optsWithGlobals<SharedOptions>(), id)
    })
}
