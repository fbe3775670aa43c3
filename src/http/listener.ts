import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createHash, timingSafeEqual } from 'node:crypto'
import { UserError } from '../userError.ts'

/**
 * The HTTP address of an instance, on which routes are mounted. It answers GET with what a route says, asks for a bearer
 * token where it has one, and bounds what a client may send and how long it may take; what a route says is left to it.
 */
export interface HttpAddress {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** null: whoever reaches the address may ask. */
  readonly token: string | null
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** By path. */
export type Routes = ReadonlyMap<string, () => Answer | Promise<Answer>>

export interface Listener {
  readonly port: number
  close(): Promise<void>
}

const HEADERS_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
const HEADERS_MAX_BYTES = 16_384

/** Throws UserError where the address cannot be listened on. */
export async function listen({ host, port, token }: HttpAddress, routes: Routes): Promise<Listener> {
  const server = createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: HEADERS_MAX_BYTES },
    (request, response) => {
      // A body is no part of any question here: it is passed over, not kept.
      request.resume()
      void respond(request, response)
    },
  )
  await begin(server, host, port)
  const address = server.address()

  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, body } = await answer(request, routes, token)
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
    response.end(request.method === 'HEAD' ? '' : body)
  }
}

export function text(status: number, body: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body: `${body}\n` }
}

async function begin(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error)
    throw new UserError(`http: ${host}:${port} cannot be listened on (${because}); choose another with --http`)
  }
}

async function answer(request: IncomingMessage, routes: Routes, token: string | null): Promise<Answer> {
  if (token !== null && !isBearer(request, token))
    return text(401, 'this address asks for a token: send the header "Authorization: Bearer TOKEN"')
  const path = (request.url ?? '').replace(/\?.*$/s, '')
  const route = routes.get(path)
  if (route === undefined)
    return text(404, `there is no ${path.slice(0, 100)} here; there are ${[...routes.keys()].join(', ')}`)
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, `${path} is only read: use GET`)
  try {
    return await route()
  } catch (error) {
    return text(500, `it failed inside OCPS: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function isBearer({ headers }: IncomingMessage, token: string): boolean {
  const given = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? ''
  const hash = (one: string) => createHash('sha256').update(one).digest()
  return timingSafeEqual(hash(given), hash(token))
}
