/**
 * The inspector's server: the page, the journal as it grows over a WebSocket, and files of jobs. Read-only, on loopback unless told otherwise, and only for
 * who names it by its own name: the Host of every request and the Origin of every socket are checked. A slow page only makes itself late.
 */
import { createReadStream } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { findFile, listFiles } from './files.ts'
import type { PageFiles } from './pageFiles.ts'
import type { Tail } from './tail.ts'

export interface GatewayOptions {
  readonly instance: string
  /** 0 takes any free one. */
  readonly port: number
  readonly host: string
  /** Other names this machine may be asked by, such as `ocps.example`; without port. */
  readonly names?: readonly string[]
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
// At most ten batches per second and page: more than an eye follows.
const BATCH_MS = 100
const BATCH_LINES = 2_000
// What may wait in a socket before its page is left to catch up by itself.
const BUFFERED_MAX = 2 * 1024 * 1024

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
  const { instance, host, page, tail } = options
  const server = createServer((request, response) => {
    try {
      answer(request, response)
    } catch {
      if (!response.headersSent) response.writeHead(500, HEADERS)
      response.end()
    }
  })
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 1_024, perMessageDeflate: false })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, host, () => resolve())
  })
  const { port } = server.address() as AddressInfo
  const names = new Set(
    ['localhost', '127.0.0.1', '[::1]', host, ...(options.names ?? [])].map(name => `${name}:${port}`),
  )

  server.on('upgrade', (request, socket, head) => {
    const { host: asked = '', origin } = request.headers
    const isOurs = names.has(asked) && request.url === '/live' && origin === `http://${asked}`
    if (!isOurs || sockets.clients.size >= PAGES_MAX) {
      socket.end(`HTTP/1.1 ${isOurs ? '503 Too Many Pages' : '403 Forbidden'}\r\nConnection: close\r\n\r\n`)
      return
    }
    sockets.handleUpgrade(request, socket, head, page => serve(page))
  })

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/`,
    port,
    async close() {
      for (const client of sockets.clients) client.terminate()
      sockets.close()
      server.closeAllConnections()
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    if (!names.has(request.headers.host ?? '')) return refuse(response, 421, 'This server is not known by that name.')
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'The inspector only shows.')
    const path = (request.url ?? '/').replace(/[?#].*$/s, '')
    const file = page.files.get(path)
    if (file) {
      response.writeHead(200, { ...HEADERS, 'Content-Type': file.mime }).end(file.body)
      return
    }
    if (path.startsWith('/files/')) return answerFile(path.slice('/files/'.length), response)
    refuse(response, 404, 'There is nothing here.')
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
    if (found.size === 0) response.end()
    else
      createReadStream(found.path, { end: found.size - 1 })
        .on('error', () => response.destroy())
        .pipe(response)
  }

  function refuse(response: ServerResponse, code: number, why: string): void {
    response.writeHead(code, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' }).end(`${why}\n`)
  }

  function serve(client: WebSocket): void {
    let generation = 0
    let sentN = 0
    let statusText = ''
    let toldCaughtUp = false
    client.on('error', () => client.terminate())
    const pump = () => {
      if (generation !== tail.generation) {
        generation = tail.generation
        sentN = 0
        toldCaughtUp = false
        client.send(JSON.stringify({ type: 'hello', instance, now: Date.now() }))
      }
      const status = JSON.stringify({ type: 'status', ...tail.status, now: 0 })
      if (status !== statusText) client.send(JSON.stringify({ type: 'status', ...tail.status, now: Date.now() }))
      statusText = status
      while (client.bufferedAmount < BUFFERED_MAX) {
        const batch = after(tail, sentN)
        if (batch.length === 0) break
        sentN = batch.at(-1)?.n ?? sentN
        client.send(batch.map(({ line }) => line).join('\n'))
      }
      if (toldCaughtUp || !tail.caughtUp || after(tail, sentN).length > 0) return
      toldCaughtUp = true
      client.send(JSON.stringify({ type: 'caughtUp' }))
    }
    const timer = setInterval(pump, BATCH_MS)
    client.on('close', () => clearInterval(timer))
    pump()
  }
}

/** What follows entry n, as much as one batch holds. */
function after({ lines }: Tail, n: number): Tail['lines'] {
  let low = 0
  let high = lines.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((lines[middle]?.n ?? 0) <= n) low = middle + 1
    else high = middle
  }
  return lines.slice(low, low + BATCH_LINES)
}
