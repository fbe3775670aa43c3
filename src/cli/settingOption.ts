import { type Command, Option } from 'commander'
import type { Flag } from '../settings/load.ts'

/** An option that sets a key of the settings, as the layer above file and environment. */
export class SettingOption extends Option {
  readonly key: string
  constructor(key: string, flags: string, description: string) {
    super(flags, description)
    this.key = key
  }
}

/** What was given of these on the command line, to this verb or to all. */
export function flagsOf(command: Command | null): Flag[] {
  if (command === null) return []
  const own = command.options.flatMap((option): Flag[] =>
    option instanceof SettingOption && command.getOptionValueSource(option.attributeName()) === 'cli'
      ? [
          {
            key: option.key,
            flag: option.long ?? option.flags,
            value: command.getOptionValue(option.attributeName()) as unknown,
          },
        ]
      : [],
  )
  return [...flagsOf(command.parent), ...own]
}

export const configDirOption = () =>
  new SettingOption(
    'configDir',
    '-c, --config <dir>',
    'configuration; default ./config if it is there, else the one that comes with OCPS',
  )

export const siteOption = () => new SettingOption('site', '--site <name>', 'the layer _<site>.yaml is read, too')

export const dataDirOption = () =>
  new SettingOption('dataDir', '--data <dir>', "jobs' files and the server's store; default .ocps")
