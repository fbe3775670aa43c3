import type { Command } from 'commander'
import { TOKEN_VARIABLE } from './inspectOptions.ts'
import { STATES, type ServeOptions } from './serveOptions.ts'
import { examples } from './session.ts'

/** `ocps serve`: what it takes. What it does is in serving.ts, loaded only then: the other verbs need no engine. */
export function addServe(program: Command): void {
  program
    .command('serve')
    .summary('run an instance')
    .description(
      'Run an instance until SIGINT or SIGTERM. Without --url or NATS_URL it starts a nats-server of its own, on loopback.',
    )
    .option('-c, --config <dir>', 'configuration; default ./config if it is there, else the one that comes with OCPS')
    .option('--site <name>', 'the layer _<site>.yaml is read, too', process.env['LSST_SITE'] ?? '')
    .option('--data <dir>', "jobs' files and the server's store", '.ocps')
    .option(
      '--log <file>',
      'where the log goes, opened again on SIGHUP; default standard error unless it is a terminal',
    )
    .option('-s, --state <state>', `the state to go to: ${STATES.join(', ')}`, 'standby')
    .option('--override <file>', 'the configuration override to start with', '')
    .option(
      '--standby',
      'wait until no other process runs this instance, then take over; needs --url and the same --data',
    )
    .option(
      '--promise <power|process>',
      'what an accepted command survives; with --url: what that server is configured for (default power where our own can)',
    )
    .option('--allow-old-server', 'use a nats-server older than 2.10 although other machines reach it')
    .option('--inspector [port]', 'serve the page of `ocps inspect`, too, in a process of its own (default port 8133)')
    .option(
      '--inspector-host <address>',
      'with --inspector: the address to listen on; any but loopback asks for a token',
    )
    .option(
      '--inspector-host-name <name...>',
      'with --inspector: names it is asked by, such as that of a reverse proxy',
    )
    .option('--inspector-token <token>', `with --inspector: what who looks must bring (or ${TOKEN_VARIABLE})`)
    .option('--allow-commands', 'with --inspector: let the page send lifecycle, pause, resume, abort, close and retry')
    .option('--simulate', 'say simulationMode 1')
    .addHelpText(
      'after',
      examples(`
        ocps serve --state enabled
        ocps serve --instance LSSTCam --url nats://nats.example:4222 --config /etc/ocps --site summit
        ocps serve --inspector --inspector-host 0.0.0.0 --inspector-host-name inspector.example.org
        ocps serve --json 2>ocps.log`),
    )
    .action(async (_options: unknown, command: Command) => {
      const { serve } = await import('./serving.ts')
      await serve(command.optsWithGlobals<ServeOptions>())
    })
}
