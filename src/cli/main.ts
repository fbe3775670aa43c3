#!/usr/bin/env node
import { Command } from 'commander'
import { addChart } from './chart.ts'
import { addCloseGroup } from './closeGroup.ts'
import { addConfig } from './config.ts'
import { addControl } from './control.ts'
import { addDemo } from './demo.ts'
import { EXIT_CODES_HELP, endingOf } from './exitCodes.ts'
import { addGroup } from './group.ts'
import { addInspect } from './inspect.ts'
import { addJob } from './job.ts'
import { addJobs } from './jobs.ts'
import { addJournal } from './journal.ts'
import { addLifecycle } from './lifecycle.ts'
import { complain, createOutput, endQuietlyWithThePipe } from './output.ts'
import { packageVersion } from './package.ts'
import { addProcess } from './process.ts'
import { addRecord } from './record.ts'
import { addReplay } from './replay.ts'
import { addRetry } from './retry.ts'
import { addSchema } from './schema.ts'
import { addServe } from './serve.ts'
import { addServer } from './server.ts'
import { examples } from './session.ts'
import { addStatus } from './status.ts'
import { addTop } from './top.ts'
import { addWatch } from './watch.ts'

/**
 * `ocps`: one verb per file, in the order they are used at a telescope. Every error ends here: as one sentence on standard error, with an
 * exit code a script can tell apart, and with --json as one document {error} on standard output, too.
 */
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

for (const add of [
  addServe,
  addLifecycle,
  addProcess,
  addCloseGroup,
  addControl,
  addRetry,
  addStatus,
  addJobs,
  addJob,
  addGroup,
  addWatch,
  addTop,
  addInspect,
  addRecord,
  addReplay,
  addJournal,
  addConfig,
  addSchema,
  addChart,
  addServer,
  addDemo,
])
  add(program)

endQuietlyWithThePipe()
try {
  await program.parseAsync()
} catch (error) {
  const { exitCode, code, sentence, said } = endingOf(error)
  if (!said) complain(sentence)
  if (exitCode !== 0 && process.argv.includes('--json'))
    createOutput(true).say('', { error: { code, message: sentence } })
  process.exitCode = exitCode
}
