import type { Command } from 'commander'
import { examples } from './session.ts'
import type { JournalCliOptions } from './journalOptions.ts'

/** `ocps journal`: what is to be done where it is damaged. What it does is in journaling.ts, loaded only then. */
const DATA = 'of an instance that does not run and had a server of its own, as in serve'

export function addJournal(program: Command): void {
  const journal = program
    .command('journal')
    .summary('check the journal, keep what can be read, begin a fresh one')
    .description('Check the journal of an instance; where it is damaged, keep what can be read and begin a fresh one.')
  journal
    .command('check')
    .summary('say whether the journal is sound')
    .description(
      'Read the whole journal and name every damage, by stream, place and entry. Only reads. Ends with 1 if there is any.',
    )
    .option('--data <dir>', DATA)
    .addHelpText(
      'after',
      examples(`
        ocps journal check
        ocps journal check --data .ocps --json`),
    )
    .action(async (_options: unknown, command: Command) => {
      const { check } = await import('./journaling.ts')
      await check(command.optsWithGlobals<JournalCliOptions>())
    })
  journal
    .command('export')
    .summary('write every entry that can be read')
    .description('Write every entry that can be read, as "ocps record" does, and say what is missing. Only reads.')
    .argument('<file>', 'compressed if it ends in .gz')
    .option('--data <dir>', DATA)
    .addHelpText(
      'after',
      examples(`
        ocps journal export night.ndjson.gz
        ocps journal export night.ndjson.gz --data .ocps`),
    )
    .action(async (file: string, _options: unknown, command: Command) => {
      const { exportAll } = await import('./journaling.ts')
      await exportAll(file, command.optsWithGlobals<JournalCliOptions>())
    })
  journal
    .command('renew')
    .summary('begin a fresh journal')
    .description(
      'Remove every entry and begin a fresh journal, for an instance that does not run. Open jobs, groups and the shelf are forgotten; job ids go on, and none is given out again.',
    )
    .option('--data <dir>', DATA)
    .option('--yes', 'do it; without, it only says what it would do')
    .addHelpText(
      'after',
      examples(`
        ocps journal export night.ndjson.gz && ocps journal renew --yes
        ocps journal renew --data .ocps --yes`),
    )
    .action(async (_options: unknown, command: Command) => {
      const { renew } = await import('./journaling.ts')
      await renew(command.optsWithGlobals<JournalCliOptions>())
    })
}
