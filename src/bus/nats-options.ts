/**
 * How to reach a server and what to show it: URL, credentials, TLS, and the bounds of waiting. Makes them options of
 * the NATS client; decides nothing about where they come from.
 */
import { readFile } from 'node:fs/promises'
import { type ConnectionOptions, credsAuthenticator, nkeyAuthenticator, type TlsOptions } from '@nats-io/transport-node'
import type { Log as Logger } from '../log.ts'
import { credentialsIn, parseUrl, type UrlCredentials } from './serverUrl.ts'

export interface NatsOptions {
  /** `nats://host:port` or `tls://host:port`, also with `user:password@` or `token@`. */
  readonly url: string
  /** Further servers of the same cluster. */
  readonly otherUrls?: readonly string[]
  /** Shown by the server's own monitoring. */
  readonly name: string
  readonly credentials?: Credentials
  readonly tls?: {
    readonly caFile?: string
    readonly certFile?: string
    readonly keyFile?: string
    readonly handshakeFirst?: boolean
  }
  /** Where answers come in; a role with narrow permissions has its own. Default `_INBOX`. */
  readonly inboxPrefix?: string
  /** Wait for a server that is not there yet instead of failing. Default false. */
  readonly waitForServer?: boolean
  readonly onStatus?: (status: 'connected' | 'disconnected') => void
  readonly log?: Logger
}

export type Credentials = UrlCredentials | { readonly nkeySeed: string } | { readonly credsFile: string }

/** A server on the same network answers in milliseconds. */
const connectTimeoutMs = 5000

/** Short, so that little is lost, and harmless: one small packet. */
const reconnectWaitMs = 250

/** A half-open connection is noticed after two unanswered pings. */
const pingIntervalMs = 10_000
const pingsUnansweredMax = 2

/** Throws BusError UNREACHABLE for what is no URL. */
export async function toClientOptions(options: NatsOptions): Promise<ConnectionOptions> {
  const url = parseUrl(options.url)
  return {
    servers: [options.url, ...(options.otherUrls ?? [])].map(one => parseUrl(one).host),
    name: options.name,
    timeout: connectTimeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectWaitMs,
    pingInterval: pingIntervalMs,
    maxPingOut: pingsUnansweredMax,
    waitOnFirstConnect: options.waitForServer ?? false,
    // A password changed on the server must not end a night; every refused attempt is logged.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    ...(options.tls !== undefined || url.protocol === 'tls:' ? { tls: tlsOptions(options.tls) } : {}),
    ...(await authentication(options.credentials ?? credentialsIn(url))),
  }
}

function tlsOptions(files: NatsOptions['tls'] = {}): TlsOptions {
  return { ...files }
}

async function authentication(credentials: Credentials | undefined): Promise<Partial<ConnectionOptions>> {
  if (credentials === undefined) return {}
  if ('user' in credentials) return { user: credentials.user, pass: credentials.password }
  if ('token' in credentials) return { token: credentials.token }
  if ('nkeySeed' in credentials) return { authenticator: nkeyAuthenticator(Buffer.from(credentials.nkeySeed)) }
  return { authenticator: credsAuthenticator(await readFile(credentials.credsFile)) }
}
