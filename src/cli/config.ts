import type { Command } from 'commander'
import { stringify } from 'yaml'
import { z } from 'zod'
import { commandSchemas, type CommandName } from '../contract/commands.ts'
import { configurationSchema, pipelineSchema } from '../contract/configuration.ts'
import { settingsSchema } from '../settings/schema.ts'
import { UserError } from '../userError.ts'
import { createOutput } from './output.ts'
import { configDirOption, siteOption } from './settingOption.ts'
import { examples, type SharedOptions } from './session.ts'

/**
 * `ocps config`: what `start` would apply, found out without an instance; and the schemas of files and commands, for
 * editors.
 */
export function addConfig(program: Command): void {
  const config = program
    .command('config')
    .summary('check configuration files; print their schemas')
    .description('Check configuration files before they are started; print their schemas.')
  config
    .command('check')
    .summary('print what start would apply, or what is wrong')
    .description('Print what start would apply, or the one sentence that says what is wrong. Needs no instance.')
    .argument('[override]', 'the override named in start', '')
    .addOption(configDirOption())
    .addOption(siteOption())
    .addHelpText(
      'after',
      examples(`
        ocps config check
        ocps config check night.yaml --config /etc/ocps --site summit`),
    )
    .action(async (override: string, _options: unknown, command: Command) =>
      check(override, command.optsWithGlobals<SharedOptions>()),
    )
  config
    .command('schema')
    .summary('print a JSON Schema')
    .description(`Print a JSON Schema, for editors and other languages: ${schemaNames().join(', ')}.`)
    .argument('[name]', 'which', 'configuration')
    .addHelpText(
      'after',
      examples(`
        ocps config schema > configuration.schema.json
        ocps config schema pipeline
        ocps config schema processData`),
    )
    .action((name: string) => {
      process.stdout.write(`${JSON.stringify(z.toJSONSchema(schemaOf(name), { io: 'input' }), null, 2)}\n`)
    })
}

async function check(override: string, { loaded: { settings }, instance, json }: SharedOptions): Promise<void> {
  const [{ createConfigurationSource }, { checkTemplate }, { configurationDirectory }] = await Promise.all([
    import('../config/load.ts'),
    import('../executor/commandLine.ts'),
    import('./configurationDirectory.ts'),
  ])
  const { configDir, site } = settings
  const dir = configurationDirectory(configDir)
  const loaded = createConfigurationSource({ dir, site, instance, checkTemplate }).load(override)
  if (!loaded.ok) throw new UserError(loaded.problem)
  const { configuration, applied } = loaded
  const text = `# ${applied.configurations} in ${dir}, ${applied.version}; times in milliseconds\n${stringify(configuration).trimEnd()}`
  createOutput(json === true).say(text, { dir, applied, configuration })
}

function schemaNames(): string[] {
  return ['configuration', 'pipeline', 'settings', ...Object.keys(commandSchemas)]
}

function schemaOf(name: string): z.ZodType {
  if (name === 'configuration') return configurationSchema
  if (name === 'pipeline') return pipelineSchema
  if (name === 'settings') return settingsSchema
  if (Object.hasOwn(commandSchemas, name)) return commandSchemas[name as CommandName]
  throw new UserError(`there is no schema ${JSON.stringify(name)}; there are ${schemaNames().join(', ')}`)
}
