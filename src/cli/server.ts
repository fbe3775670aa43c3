import { join } from 'node:path'
import type { Command } from 'commander'
import { atLeast, findServer } from '../bus/server-binary.ts'
import { shownUrl } from '../bus/serverUrl.ts'
import { syncAlwaysSince } from '../bus/server-process.ts'
import { table } from './format.ts'
import { createOutput } from './output.ts'
import { dataDirOption } from './settingOption.ts'
import { examples, type SharedOptions } from './session.ts'

/** `ocps server`: which nats-server serve would use, without starting it. */
export function addServer(program: Command): void {
  program
    .command('server')
    .summary('show which nats-server would be used')
    .description('Show which nats-server serve would use, and what it promises. Starts and installs nothing.')
    .addOption(dataDirOption())
    .addHelpText(
      'after',
      examples(`
        ocps server
        NATS_SERVER_BIN=/opt/nats/nats-server ocps server --json`),
    )
    .action(async (_options: unknown, command: Command) => {
      const { json, loaded } = command.optsWithGlobals<SharedOptions>()
      const { dataDir, nats } = loaded.settings
      const [url = null] = nats.servers
      const out = createOutput(json === true)
      if (url !== null)
        return out.say(`the server at ${shownUrl(url)}, which is named; none would be started`, {
          url: shownUrl(url),
          path: null,
          version: null,
          durability: null,
        })
      const { path, version } = await findServer({ cacheDir: join(dataDir, 'cache'), download: false })
      const durability = atLeast(version, syncAlwaysSince) ? 'power-safe' : 'process-crash-safe'
      const why = durability === 'power-safe' ? '' : `; ${syncAlwaysSince} or later is power-safe`
      out.say(
        table([
          ['nats-server', path],
          ['version', version],
          ['durability', durability + why],
        ]),
        { url: null, path, version, durability },
      )
    })
}
