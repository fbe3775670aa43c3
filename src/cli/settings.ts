import type { Command } from 'commander'
import { deploymentOptions } from './serve.ts'
import { examples, type SharedOptions } from './session.ts'

/** `ocps settings`: what the other verbs would go by, and why. Connects to nothing. */
export function addSettings(program: Command): void {
  const settings = program
    .command('settings')
    .summary('show the settings in force and where each comes from')
    .description(
      'Show the settings in force and where each comes from: a file, the environment, an option, or a default. Passwords are masked. Takes the options of serve, connects to nothing.',
    )
  for (const option of deploymentOptions()) settings.addOption(option)
  settings
    .addHelpText(
      'after',
      examples(`
        ocps settings
        ocps settings --settings /etc/ocps/settings.yaml --json
        OCPS_NATS_CREDS=/etc/ocps/ocps.creds ocps settings --url nats://nats.example:4222`),
    )
    .action(async (_options: unknown, command: Command) => {
      const { json, loaded } = command.optsWithGlobals<SharedOptions>()
      const [{ showSettings }, { createOutput }, { table }] = await Promise.all([
        import('../settings/show.ts'),
        import('./output.ts'),
        import('./format.ts'),
      ])
      const shown = showSettings(loaded)
      const rows = shown.map(({ key, value, origin }) => [key, inWords(value), origin])
      createOutput(json === true).say(table(rows), Object.fromEntries(shown.map(({ key, ...rest }) => [key, rest])))
    })
}

function inWords(value: unknown): string {
  if (value === null || value === '' || JSON.stringify(value) === '{}') return '-'
  return Array.isArray(value) ? value.join(', ') || '-' : typeof value === 'string' ? value : JSON.stringify(value)
}
