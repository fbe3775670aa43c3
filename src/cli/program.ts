import { Command } from 'commander'
import { examples } from './examples.ts'
import { EXIT_CODES_HELP } from './exitCodes.ts'
import { packageVersion } from './package.ts'
import { flagsOf, SettingOption } from './settingOption.ts'

/**
 * `ocps` with its verbs: one file per verb, in the order they are used at a telescope. Only the file of the verb that
 * was asked for is loaded, because the client, the charts and the inspector behind the others take most of the time of
 * a short command.
 */
const VERBS: readonly (readonly [names: string, add: () => Promise<(program: Command) => void>])[] = [
  ['serve', async () => (await import('./serve.ts')).addServe],
  ['start enable disable standby exit', async () => (await import('./lifecycle.ts')).addLifecycle],
  ['process', async () => (await import('./process.ts')).addProcess],
  ['close-group', async () => (await import('./closeGroup.ts')).addCloseGroup],
  ['abort pause resume log-level', async () => (await import('./control.ts')).addControl],
  ['retry shelf', async () => (await import('./retry.ts')).addRetry],
  ['status', async () => (await import('./status.ts')).addStatus],
  ['jobs', async () => (await import('./jobs.ts')).addJobs],
  ['exposure', async () => (await import('./exposure.ts')).addExposure],
  ['job', async () => (await import('./job.ts')).addJob],
  ['logs', async () => (await import('./logs.ts')).addLogs],
  ['group', async () => (await import('./group.ts')).addGroup],
  ['watch', async () => (await import('./watch.ts')).addWatch],
  ['top', async () => (await import('./top.ts')).addTop],
  ['inspect explain', async () => (await import('./inspect.ts')).addInspect],
  ['record', async () => (await import('./record.ts')).addRecord],
  ['replay', async () => (await import('./replay.ts')).addReplay],
  ['journal', async () => (await import('./journal.ts')).addJournal],
  ['config', async () => (await import('./config.ts')).addConfig],
  ['settings', async () => (await import('./settings.ts')).addSettings],
  ['schema', async () => (await import('./schema.ts')).addSchema],
  ['chart', async () => (await import('./chart.ts')).addChart],
  ['server', async () => (await import('./server.ts')).addServer],
  ['demo', async () => (await import('./demo.ts')).addDemo],
]

/** With all verbs, or with those needed for these words. Parsing throws instead of exiting. */
export async function buildProgram(words?: readonly string[]): Promise<Command> {
  const program = new Command('ocps')
    .description('OCPS, the OCS Controlled Pipeline System: process this data with that pipeline, now.')
    .addOption(
      new SettingOption('instance', '-i, --instance <name>', 'the instance (or OCPS_INSTANCE)').default('LATISS'),
    )
    .addOption(
      new SettingOption(
        'nats.servers',
        '--url <url>',
        'the NATS server (or NATS_URL); default the one of an "ocps serve" started here or above',
      ),
    )
    .addOption(new SettingOption('nats.credentialsFile', '--creds <file>', 'NATS credentials (or OCPS_NATS_CREDS)'))
    .addOption(new SettingOption('nats.nkeyFile', '--nkey <file>', 'NATS nkey seed (or OCPS_NATS_NKEY)'))
    .addOption(new SettingOption('nats.tls.caFile', '--tlsca <file>', 'TLS: who signs servers (or OCPS_NATS_CA)'))
    .addOption(new SettingOption('nats.tls.certFile', '--tlscert <file>', 'TLS: our certificate (or OCPS_NATS_CERT)'))
    .addOption(new SettingOption('nats.tls.keyFile', '--tlskey <file>', 'TLS: its private key (or OCPS_NATS_KEY)'))
    .option('--settings <file>', 'settings in YAML, below environment and options (or OCPS_SETTINGS)')
    .option('--json', 'print JSON: one document, or one per line, and nothing else')
    .option('--identity <name>', 'who asks, without spaces; default user@host')
    .version(packageVersion(), '-V, --version', 'print the version')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `${examples(`
        ocps serve --state enabled
        ocps process AT_O_20261122_000017 --pipeline quicklook --wait
        ocps status`)}\n\n${EXIT_CODES_HELP}`,
    )
    .exitOverride()
  program.hook('preAction', async (_program, verb) => {
    const { loadSettings } = await import('../settings/load.ts')
    const loaded = await loadSettings({ file: program.getOptionValue('settings') as string, flags: flagsOf(verb) })
    program.setOptionValue('loaded', loaded)
    // Still as good as a default: it says nothing about, for example, a recording.
    const source = program.getOptionValueSource('instance') ?? 'default'
    program.setOptionValueWithSource('instance', loaded.settings.instance, source)
  })
  for (const add of await Promise.all(neededFor(program, words).map(([, load]) => load()))) add(program)
  return program
}

/**
 * The one verb that is asked for; all for the list of verbs, and for a verb that is none, so that the nearest can be
 * named.
 */
function neededFor(program: Command, words: readonly string[] | undefined): typeof VERBS {
  if (words === undefined) return VERBS
  // Asked for the version, this ends here.
  const [verb, ...others] = program.parseOptions([...words]).operands
  const meant = verb === 'help' ? others[0] : verb
  const found = VERBS.filter(([names]) => names.split(' ').some(name => name === meant))
  return found.length > 0 ? found : VERBS
}
