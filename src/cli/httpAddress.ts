import { readFile } from 'node:fs/promises'
import { isLoopback } from '../bus/serverUrl.ts'
import type { HttpAddress } from '../http/listener.ts'
import type { Settings } from '../settings/schema.ts'
import { UserError } from '../userError.ts'

const PORT_MAX = 65_535

/** Where `serve` answers over HTTP. Throws UserError where others could reach it without a token. */
export async function httpAddress({ http, httpTokenFile }: Settings): Promise<HttpAddress | undefined> {
  if (http === null) return undefined
  const at = http.lastIndexOf(':')
  const host = http.slice(0, at).replace(/^\[(.*)\]$/, '$1')
  const port = Number(http.slice(at + 1))
  if (port > PORT_MAX) throw new UserError(`http: ${http}: a port is a number from 0 to ${PORT_MAX}`)
  const token = httpTokenFile === null ? null : await tokenIn(httpTokenFile)
  if (token === null && !isLoopback(host))
    throw new UserError(
      `http: other machines reach ${http}; name a file with a token in httpTokenFile (OCPS_HTTP_TOKEN_FILE), or listen on 127.0.0.1`,
    )
  return { host, port, token }
}

async function tokenIn(path: string): Promise<string> {
  const content = await readFile(path, 'utf8').catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new UserError(`httpTokenFile: the file ${path} cannot be read (${code})`)
  })
  const token = (content.split('\n')[0] ?? '').trim()
  if (!/^\S{16,256}$/.test(token))
    throw new UserError(
      `httpTokenFile: the first line of ${path} must be a token of 16 to 256 characters without spaces`,
    )
  return token
}
