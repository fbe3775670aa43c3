import { loadSettings } from '../settings/load.ts'
import type { NatsSettings } from '../settings/schema.ts'

/**
 * The server of the simulated telescope: the one named by --url, else by the settings, else the usual one of this
 * machine.
 */
export async function serverNamed(url: string | undefined): Promise<NatsSettings> {
  const flags = url === undefined ? [] : [{ key: 'nats.servers', flag: '--url', value: url }]
  const { nats } = (await loadSettings({ flags })).settings
  return nats.servers.length > 0 ? nats : { ...nats, servers: ['nats://127.0.0.1:4222'] }
}
