/**
 * The inspector's server: the page, the journal as it grows over a WebSocket, and files of jobs. Only shows, unless it
 * was given commands to carry; who may look is access.ts's. A slow page only makes itself late.
 */
import { closeSync, createReadStream } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import { WebSocketServer } from 'ws'
import { type AccessRefused, createAccess, nameOf } from './access.ts'
import type { Commands } from './commands.ts'
import { findFile, listFiles } from './files.ts'
import type { PageFiles } from './pageFiles.ts'
import { createLive } from './live.ts'
import { bridgeFile } from './stately/bridge.ts'
import { createHub } from './stately/hub.ts'
import type { Tail } from '../night/tail.ts'

export interface GatewayOptions {
  readonly instance: string
  /** 0 takes any free one. */
  readonly port: number
  readonly host: string
  /** Names it has outside, such as a reverse proxy's; see access.ts. */
  readonly names?: readonly string[]
  /** What who looks must bring; null or left out: whoever reaches it may look. */
  readonly token?: string | null
  /** null or left out: nothing can be sent from the page. */
  readonly commands?: Commands | null
  readonly page: PageFiles
  readonly tail: Tail
}

export interface Gateway {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

// A control room has a dozen screens.
const PAGES_MAX = 64
// A command names a job, a group or a file; the longest is well below.
const COMMAND_BYTES_MAX = 4_096

const HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

/** Rejects with the system's error (EADDRINUSE, EACCES) when the port cannot be had. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { instance, host, page, tail, names = [], token = null, commands = null } = options
  const server = createServer((request, response) => {
    answer(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500, HEADERS)
      response.end()
    })
  })
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 1_024, perMessageDeflate: false })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, host, () => resolve())
  })
  const { port } = server.address() as AddressInfo
  const access = createAccess({ host, port, names, token })
  const hub = createHub({ instance, tail })
  const live = createLive({ instance, tail, mayCommand: commands !== null })

  server.on('upgrade', (request, socket, head) => {
    const refused = access.refusalOfOwn(request)
    if (refused) return turnAway(socket, `${refused.code} ${STATUS_CODES[refused.code]}`, refused.why)
    const { path, query } = parted(request)
    const isStately = path === '/stately/ws'
    if (path !== '/live' && !isStately) return turnAway(socket, '404 Not Found', 'There is no such socket.')
    if (sockets.clients.size >= PAGES_MAX)
      return turnAway(socket, '503 Service Unavailable', `${PAGES_MAX} pages look already.`)
    sockets.handleUpgrade(request, socket, head, page => {
      page.on('error', () => page.terminate())
      page.on('close', (isStately ? hub : live).attach(page, query))
    })
  })

  return {
    url: `http://${nameOf(host)}:${port}/`,
    port,
    async close() {
      hub.close()
      live.close()
      for (const client of sockets.clients) client.terminate()
      sockets.close()
      server.closeAllConnections()
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const entry = access.entry(request)
    if (entry) return letIn(response, entry)
    const refused = access.refusal(request)
    if (refused) return refuse(response, refused.code, refused.why)
    if (commands !== null && request.method === 'POST' && request.url?.startsWith('/commands/'))
      return answerCommand(commands, request, response)
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'The inspector only shows.')
    const { path, query } = parted(request)
    const file = page.files.get(path)
    if (file) {
      response.writeHead(200, { ...HEADERS, 'Content-Type': file.mime }).end(file.body)
      return
    }
    const bridge = bridgeFile(path, query)
    if (bridge) return void response.writeHead(bridge.code, { ...HEADERS, ...bridge.headers }).end(bridge.body)
    if (path.startsWith('/files/')) return answerFile(path.slice('/files/'.length), response)
    refuse(response, 404, 'There is nothing here.')
  }

  /**
   * Not a redirect: after one from elsewhere, such as a link in a chat, a browser would still call the visit a foreign
   * one and keep the cookie to itself. A page of ours that moves on is the same site.
   */
  function letIn(response: ServerResponse, { cookie, location }: { cookie: string; location: string }): void {
    const to = location.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
    response
      .writeHead(200, { ...HEADERS, 'Content-Type': 'text/html; charset=utf-8', 'Set-Cookie': cookie })
      .end(`<!doctype html><meta http-equiv="refresh" content="0;url=${to}"><a href="${to}">The inspector</a>\n`)
  }

  async function answerCommand(carried: Commands, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refused = access.refusalOfOwn(request) ?? refusalOfForm(request)
    if (refused) return refuse(response, refused.code, refused.why)
    const text = await bodyOf(request)
    if (text === null) return refuse(response, 413, `A command has at most ${COMMAND_BYTES_MAX} bytes.`)
    const name = (request.url ?? '').slice('/commands/'.length)
    const { code, answer: said } = await carried.execute(name, text)
    response.writeHead(code, { ...HEADERS, 'Content-Type': 'application/json' }).end(JSON.stringify(said))
  }

  /** `<jobId>/` lists, `<jobId>/<path>` is one file. */
  function answerFile(rest: string, response: ServerResponse): void {
    const workDir = tail.status.facts?.workDir
    if (!workDir) return refuse(response, 404, 'The instance does not say where its files are; is it running?')
    let jobId = ''
    let path = ''
    try {
      const [first = '', ...more] = rest.split('/')
      jobId = decodeURIComponent(first)
      path = decodeURIComponent(more.join('/'))
    } catch {
      return refuse(response, 400, 'The address is not spelled correctly.')
    }
    if (path === '') {
      const files = listFiles(workDir, jobId)
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json' }).end(JSON.stringify(files ?? []))
      return
    }
    const found = findFile(workDir, jobId, path)
    if (found === null) return refuse(response, 404, 'This job has no such file on this machine.')
    response.writeHead(200, {
      ...HEADERS,
      'Content-Security-Policy': "default-src 'none'; sandbox",
      'Content-Type': found.mime,
      'Content-Length': found.size,
      ...(found.inline ? {} : { 'Content-Disposition': 'attachment' }),
    })
    // A file that grows meanwhile is cut at the length that was promised.
    if (found.size === 0) {
      closeSync(found.descriptor)
      response.end()
      return
    }
    const file = createReadStream('', { fd: found.descriptor, start: 0, end: found.size - 1 })
    // Also where whoever asked goes away: the descriptor is closed with it.
    pipeline(file, response, () => {})
  }

  function refuse(response: ServerResponse, code: number, why: string): void {
    const more = code === 401 ? { 'WWW-Authenticate': 'Bearer' } : code === 413 ? { Connection: 'close' } : {}
    response.writeHead(code, { ...HEADERS, ...more, 'Content-Type': 'text/plain; charset=utf-8' }).end(`${why}\n`)
  }
}

function parted({ url = '/' }: IncomingMessage): { path: string; query: URLSearchParams } {
  const [path = '/', query = ''] = url.replace(/#.*$/s, '').split('?', 2)
  return { path, query: new URLSearchParams(query) }
}

function turnAway(socket: Duplex, status: string, why: string): void {
  // Whoever is turned away may be gone before it is said.
  socket.on('error', () => {})
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(why) + 1}\r\n\r\n${why}\n`,
  )
}

/** A form of another site can be sent without asking us first, but never as JSON. */
function refusalOfForm({ headers }: IncomingMessage): AccessRefused | null {
  return headers['content-type'] === 'application/json' ? null : { code: 403, why: 'A command is sent as JSON.' }
}

async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let size = 0
  // Kept open when it is too long, so that the answer can still be read.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > COMMAND_BYTES_MAX) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
