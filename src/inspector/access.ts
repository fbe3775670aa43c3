/**
 * Who may look: only requests that name the inspector by a name of its own (a rebound DNS name does not), and where it
 * can be reached from other machines only who holds the token. What opens a socket or changes something must also come
 * from the inspector's own page. Decides; the gateway answers.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'

export interface Access {
  /** null: the request may be answered. */
  refusal(request: IncomingMessage): AccessRefused | null
  /** The same, and that a page of ours sent it. */
  refusalOfOwn(request: IncomingMessage): AccessRefused | null
  /** Of a request that brings the token in its address: the cookie to set, and the same address without it. */
  entry(request: IncomingMessage): { readonly cookie: string; readonly location: string } | null
}

export interface AccessRefused {
  readonly code: 401 | 403 | 421
  /** One sentence for whoever asked. */
  readonly why: string
}

export interface AccessOptions {
  /** What the server listens on. */
  readonly host: string
  readonly port: number
  /** Names it has outside, such as a reverse proxy's: with a port only that one, without any. */
  readonly names: readonly string[]
  /** null: whoever reaches it may look. */
  readonly token: string | null
}

// Nobody guesses 128 bits; 16 characters of base64url are 96, which nobody guesses over a network either.
const TOKEN = /^[A-Za-z0-9_-]{16,128}$/
export const TOKEN_RULE = 'a token is 16 to 128 letters, digits, _ or -'

export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

export function newToken(): string {
  return randomBytes(24).toString('base64url')
}

/** Whether only this machine reaches an address. Any name but localhost is taken for one that others reach, too. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

export function createAccess({ host, port, names, token }: AccessOptions): Access {
  const outside = new Set(names.map(lower).flatMap(name => (/:\d+$/.test(name) ? [name] : [name, `${name}:${port}`])))
  const known = new Set([...ownNames(lower(host)).map(name => `${name}:${port}`), ...outside])
  // Cookies do not know ports: two inspectors on one machine must not overwrite each other's.
  const cookieName = `ocps-inspector-${port}`

  return { refusal, refusalOfOwn, entry }

  function refusal(request: IncomingMessage): AccessRefused | null {
    const asked = hostOf(request)
    if (!known.has(asked))
      return {
        code: 421,
        why: `This inspector is not known as ${JSON.stringify(asked.slice(0, 100))}; if that is its name, start it with --host-name.`,
      }
    if (token === null || isSame(cookieOf(request), token) || isSame(bearerOf(request), token)) return null
    return {
      code: 401,
      why: 'This inspector asks for its token: open it once with ?token=… at the end of its address, as it was printed when it started.',
    }
  }

  function refusalOfOwn(request: IncomingMessage): AccessRefused | null {
    const refused = refusal(request)
    if (refused) return refused
    const { origin = '' } = request.headers
    // A proxy often names us by our own address, and itself only in the Origin.
    const own = [hostOf(request), ...outside].flatMap(name => [`http://${name}`, `https://${name}`])
    return own.includes(origin)
      ? null
      : {
          code: 403,
          why: `This is only for the inspector's own page, not for ${origin === '' ? 'a program' : JSON.stringify(origin.slice(0, 100))}.`,
        }
  }

  function entry(request: IncomingMessage): ReturnType<Access['entry']> {
    if (token === null || !known.has(hostOf(request)) || request.method !== 'GET') return null
    const [path = '/', query = ''] = (request.url ?? '/').split('?', 2)
    const asked = new URLSearchParams(query)
    if (!isSame(asked.get('token') ?? '', token)) return null
    asked.delete('token')
    const rest = asked.toString()
    // Behind a proxy that speaks TLS the browser is to send it there only; a forged header makes it stricter, never
    // laxer.
    const secure = request.headers['x-forwarded-proto'] === 'https' ? '; Secure' : ''
    return {
      cookie: `${cookieName}=${token}; Path=/; HttpOnly; SameSite=Strict${secure}`,
      // One slash: two would name another server.
      location: `/${path.replace(/^[/\\]+/, '')}${rest === '' ? '' : `?${rest}`}`,
    }
  }

  function cookieOf({ headers: { cookie = '' } }: IncomingMessage): string {
    for (const part of cookie.split(';')) {
      const [name, value = ''] = part.trim().split('=', 2)
      if (name === cookieName) return value
    }
    return ''
  }
}

function hostOf({ headers: { host = '' } }: IncomingMessage): string {
  return lower(host)
}

function lower(text: string): string {
  return text.toLowerCase()
}

function bearerOf({ headers: { authorization = '' } }: IncomingMessage): string {
  return /^Bearer ([\w-]+)$/.exec(authorization)?.[1] ?? ''
}

/** In a time that does not tell how much of it was right. */
function isSame(given: string, token: string): boolean {
  return timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** What a browser on this machine, or on one that reaches it, would call it. */
function ownNames(host: string): string[] {
  const loopback = ['localhost', '127.0.0.1', '[::1]']
  if (!isEverywhere(host)) return [...loopback, bracketed(host)]
  const addresses = Object.values(networkInterfaces()).flatMap(all => (all ?? []).map(({ address }) => address))
  return [...loopback, lower(hostname()), ...addresses.map(bracketed)]
}

/** How a person reaches what listens on `host`. */
export function nameOf(host: string): string {
  return isEverywhere(host) ? lower(hostname()) : bracketed(host)
}

function isEverywhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
