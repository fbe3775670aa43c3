/**
 * The URL of a NATS server, with what it may hold besides a place: credentials. Promises a form for people that never
 * does; everything that is printed, logged, published or written down goes through it.
 */
import { BusError } from './port.ts'

export type UrlCredentials = { readonly user: string; readonly password: string } | { readonly token: string }

/** Throws BusError UNREACHABLE for what is no such URL. */
export function parseUrl(text: string): URL {
  const full = text.includes('://') ? text : `nats://${text}`
  const url = URL.canParse(full) ? new URL(full) : null
  if (url === null || url.host === '' || !['nats:', 'tls:'].includes(url.protocol)) {
    throw new BusError(
      'UNREACHABLE',
      `The NATS URL ${JSON.stringify(masked(text))} is not of the form nats://host:port or tls://host:port.`,
    )
  }
  if (url.port === '') url.port = '4222'
  return url
}

/** For people: without credentials. */
export function shownUrl(text: string): string {
  const url = parseUrl(text)
  return `${url.protocol}//${url.host}`
}

export function credentialsIn(url: URL): UrlCredentials | undefined {
  const user = decodeURIComponent(url.username)
  if (user === '') return undefined
  return url.password === '' ? { token: user } : { user, password: decodeURIComponent(url.password) }
}

export function hasCredentials(text: string): boolean {
  return parseUrl(text).username !== ''
}

/** The same place with a token to connect with. */
export function withToken(text: string, token: string): string {
  const url = parseUrl(text)
  return `${url.protocol}//${encodeURIComponent(token)}@${url.host}`
}

/** Also of what is no URL: whatever stands before the last @ may be a secret. */
export function masked(text: string): string {
  return text.replaceAll(/(:\/\/|^(?!\S*:\/\/))\S*@/g, '$1…@')
}

/** Whether only processes of the same machine reach what listens at this name or address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
