/**
 * The one way to NATS: whoever connects says in which role, and what the settings know of servers, keys and TLS is
 * used. Files are checked first, so that a wrong path is a sentence and not a server that refuses.
 */
import type { NatsOptions } from '../bus/nats-options.ts'
import { connectNats } from '../bus/nats.ts'
import type { Bus } from '../bus/port.ts'
import { hasCredentials } from '../bus/serverUrl.ts'
import { encryption, login } from './keyFiles.ts'
import { LEAVES, type NatsSettings, natsSchema, type Settings, SETTINGS_VARIABLE } from './schema.ts'

/**
 * Throws UserError for a file that cannot be used, BusError UNREACHABLE if no server answers. The role is what the
 * server's own monitoring shows, such as `ocps.LATISS`.
 */
export async function connect(
  { nats }: Pick<Settings, 'nats'>,
  role: string,
  more: Pick<NatsOptions, 'log' | 'waitForServer'> = {},
): Promise<Bus> {
  const [url, ...otherUrls] = nats.servers
  if (url === undefined) throw new Error(`invariant: ${role} connects, and no server is named`)
  const [credentials, tls] = await Promise.all([login(nats), encryption(nats)])
  return await connectNats({
    ...more,
    url,
    otherUrls,
    name: role,
    ...(credentials !== undefined && { credentials }),
    ...(tls !== undefined && { tls }),
    ...(nats.inboxPrefix !== null && { inboxPrefix: nats.inboxPrefix }),
  })
}

/** A server for which its URL is enough, such as one of our own. */
export function justUrl(url: string): NatsSettings {
  return natsSchema.parse({ servers: [url] })
}

/** The same keys and certificates at another server, unless its URL says how to log in. */
export function atServer(nats: NatsSettings, url: string): NatsSettings {
  const there = { ...nats, servers: [url] }
  return hasCredentials(url)
    ? { ...there, credentialsFile: null, nkeyFile: null, user: null, passwordFile: null }
    : there
}

/** Every variable from which a process learns about NATS. */
export const NATS_VARIABLES: readonly string[] = [
  SETTINGS_VARIABLE,
  ...LEAVES.flatMap(({ key, env }) => (key.startsWith('nats.') && env !== null ? [env] : [])),
]

/**
 * For a child that is to connect as we do: in its environment, because the arguments of a process are seen by
 * everybody. Undefined is not set.
 */
export function toEnvironment(nats: NatsSettings): Record<string, string | undefined> {
  return {
    ...Object.fromEntries(NATS_VARIABLES.map(name => [name, undefined])),
    NATS_URL: nats.servers.join(','),
    OCPS_NATS_CREDS: nats.credentialsFile ?? undefined,
    OCPS_NATS_NKEY: nats.nkeyFile ?? undefined,
    OCPS_NATS_USER: nats.user ?? undefined,
    OCPS_NATS_PASSWORD_FILE: nats.passwordFile ?? undefined,
    OCPS_NATS_CA: nats.tls.caFile ?? undefined,
    OCPS_NATS_CERT: nats.tls.certFile ?? undefined,
    OCPS_NATS_KEY: nats.tls.keyFile ?? undefined,
    OCPS_NATS_TLS_FIRST: nats.tls.handshakeFirst ? 'true' : undefined,
    OCPS_NATS_INBOX_PREFIX: nats.inboxPrefix ?? undefined,
  }
}
