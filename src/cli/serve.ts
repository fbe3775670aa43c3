import type { Command, Option } from 'commander'
import { INSPECTOR_PORT, TOKEN_VARIABLE } from './inspectOptions.ts'
import { STATES, type ServeOptions } from './serveOptions.ts'
import { configDirOption, dataDirOption, SettingOption, siteOption } from './settingOption.ts'
import { examples } from './session.ts'

/** `ocps serve`: what it takes. What it does is in serving.ts, loaded only then: the other verbs need no engine. */
export function addServe(program: Command): void {
  const serve = program
    .command('serve')
    .summary('run an instance')
    .description(
      'Run an instance until SIGINT or SIGTERM. Without --url or NATS_URL it starts a nats-server of its own, on loopback.',
    )
  for (const option of deploymentOptions()) serve.addOption(option)
  serve
    .option('-s, --state <state>', `the state to go to: ${STATES.join(', ')}`, 'standby')
    .option('--override <file>', 'the configuration override to start with', '')
    .option(
      '--standby',
      'wait until no other process runs this instance, then take over; needs --url and the same --data',
    )
    .option('--inspector-token <token>', `with --inspector: what who looks must bring (or ${TOKEN_VARIABLE})`)
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

/** The options of serve that set something of the deployment. */
export function deploymentOptions(): Option[] {
  return [
    configDirOption(),
    siteOption(),
    dataDirOption(),
    new SettingOption(
      'logFile',
      '--log <file>',
      'where the log goes, opened again on SIGHUP; default standard error unless it is a terminal',
    ),
    new SettingOption('http', '--http <host:port>', 'where health and metrics are asked for (or OCPS_HTTP)'),
    new SettingOption(
      'promise',
      '--promise <power|process>',
      'what an accepted command survives; with --url: what that server is configured for (default power where our own can)',
    ),
    new SettingOption(
      'allowOldServer',
      '--allow-old-server',
      'use a nats-server older than 2.10 although other machines reach it',
    ),
    new SettingOption(
      'inspector.port',
      '--inspector [port]',
      'serve the page of `ocps inspect`, too, in a process of its own (default port 8133)',
    ).preset(INSPECTOR_PORT),
    new SettingOption(
      'inspector.host',
      '--inspector-host <address>',
      'with --inspector: the address to listen on; any but loopback asks for a token',
    ),
    new SettingOption(
      'inspector.hostNames',
      '--inspector-host-name <name...>',
      'with --inspector: names it is asked by, such as that of a reverse proxy',
    ),
    new SettingOption(
      'inspector.allowCommands',
      '--allow-commands',
      'with --inspector: let the page send lifecycle, pause, resume, abort, close and retry',
    ),
  ]
}
