import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { onTestFinished } from 'vitest'
import { findServer } from '../../src/bus/server-binary.ts'
import { eventually } from '../bus/eventually.ts'

/* Servers that do not let everybody in, in a folder of their own, gone at the end of the test. */

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ocps-settings-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}

/** A server with JetStream and this in its configuration; its port. */
export async function startServer(directory: string, configuration: string): Promise<number> {
  const store = join(directory, 'store')
  mkdirSync(store)
  const file = join(directory, 'server.conf')
  writeFileSync(
    file,
    `host: 127.0.0.1\nport: -1\nports_file_dir: ${JSON.stringify(store)}\njetstream { store_dir: ${JSON.stringify(store)} }\n${configuration}\n`,
  )
  const child = spawn((await findServer()).path, ['-c', file], { stdio: 'ignore' })
  onTestFinished(async () => {
    const ended = once(child, 'exit')
    if (child.exitCode === null && child.kill()) await ended
  })
  let port = 0
  await eventually('the server says its port', () => {
    const name = readdirSync(store).find(one => one.endsWith('.ports'))
    port = Number(/:(\d+)"/.exec(name === undefined ? '' : readFileSync(join(store, name), 'utf8'))?.[1] ?? 0)
    return port > 0
  })
  return port
}

export function newUser(): { readonly seed: string; readonly publicKey: string } {
  const user = nkeys.createUser()
  return { seed: new TextDecoder().decode(user.getSeed()), publicKey: user.getPublicKey() }
}

/** A certificate of this machine, signed by itself. */
export function certificate(directory: string, name: string): { readonly cert: string; readonly key: string } {
  const cert = join(directory, `${name}.pem`)
  const key = join(directory, `${name}.key`)
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ocps -addext subjectAltName=DNS:localhost`
  execFileSync('openssl', [...words.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { cert, key }
}
