import { Command } from 'commander'
import { examples } from './examples.ts'
import { EXIT_CODES_HELP } from './exitCodes.ts'
import { packageVersion } from './package.ts'

/**
 * `ocps` with its verbs: one file per verb, in the order they are used at a telescope. Only the file of the verb that was asked for is
 * loaded, because the client, the charts and the inspector behind the others take most of the time of a short command.
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
  ['job', async () => (await import('./job.ts')).addJob],
  ['group', async () => (await import('./group.ts')).addGroup],
  ['watch', async () => (await import('./watch.ts')).addWatch],
  ['top', async () => (await import('./top.ts')).addTop],
  ['inspect explain', async () => (await import('./inspect.ts')).addInspect],
  ['record', async () => (await import('./record.ts')).addRecord],
  ['replay', async () => (await import('./replay.ts')).addReplay],
  ['journal', async () => (await import('./journal.ts')).addJournal],
  ['config', async () => (await import('./config.ts')).addConfig],
  ['schema', async () => (await import('./schema.ts')).addSchema],
  ['chart', async () => (await import('./chart.ts')).addChart],
  ['server', async () => (await import('./server.ts')).addServer],
  ['demo', async () => (await import('./demo.ts')).addDemo],
]

/** With all verbs, or with those needed for these words. Parsing throws instead of exiting. */
export async function buildProgram(words?: readonly string[]): Promise<Command> {
  const program = new Command('ocps')
    .description('OCPS, the OCS Controlled Pipeline System: process this data with that pipeline, now.')
    .option('-i, --instance <name>', 'the instance (or OCPS_INSTANCE)', process.env['OCPS_INSTANCE'] || 'LATISS')
    .option('--url <url>', 'the NATS server (or NATS_URL); default the one of an "ocps serve" started here or above')
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
  for (const add of await Promise.all(neededFor(program, words).map(([, load]) => load()))) add(program)
  return program
}

/** The one verb that is asked for; all for the list of verbs, and for a verb that is none, so that the nearest can be named. */
function neededFor(program: Command, words: readonly string[] | undefined): typeof VERBS {
  if (words === undefined) return VERBS
  // Asked for the version, this ends here.
  const [verb, ...others] = program.parseOptions([...words]).operands
  const meant = verb === 'help' ? others[0] : verb
  const found = VERBS.filter(([names]) => names.split(' ').some(name => name === meant))
  return found.length > 0 ? found : VERBS
}
