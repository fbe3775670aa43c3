/**
 * Reads the files that settings name for a connection, and says of each what is wrong with it before a server is asked.
 * What a file holds is neither kept nor shown.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { isCredentials, isNkeySeed } from '../bus/nats-credentials.ts'
import type { Credentials } from '../bus/nats-options.ts'
import { UserError } from '../userError.ts'
import type { NatsSettings } from './schema.ts'

/** How to log in, or undefined: as the URL says. Throws UserError naming the file and what to do. */
export async function login(nats: NatsSettings): Promise<Credentials | undefined> {
  const { credentialsFile, nkeyFile, user, passwordFile } = nats
  if (credentialsFile !== null) {
    if (!isCredentials(await content('nats.credentialsFile', credentialsFile)))
      throw new UserError(
        `nats.credentialsFile: ${credentialsFile} is no credentials file; write it again, for example with "nsc generate creds"`,
      )
    return { credsFile: credentialsFile }
  }
  if (nkeyFile !== null) {
    const nkeySeed = firstLine(await content('nats.nkeyFile', nkeyFile))
    if (!isNkeySeed(nkeySeed))
      throw new UserError(
        `nats.nkeyFile: ${nkeyFile} does not hold an nkey seed; its first line must be one, as "nk -gen user" prints it`,
      )
    return { nkeySeed }
  }
  if (user === null && passwordFile === null) return undefined
  if (user === null || passwordFile === null)
    throw new UserError('nats.user and nats.passwordFile belong together; give both, or neither')
  const password = firstLine(await content('nats.passwordFile', passwordFile))
  if (password === '') throw new UserError(`nats.passwordFile: the first line of ${passwordFile} must be the password`)
  return { user, password }
}

/** The files of TLS once each is known to be usable, or undefined where none is named. Throws UserError. */
export async function encryption({ tls }: NatsSettings) {
  const { caFile, certFile, keyFile, handshakeFirst } = tls
  if (caFile === null && certFile === null && keyFile === null && !handshakeFirst) return undefined
  if ((certFile === null) !== (keyFile === null))
    throw new UserError('nats.tls.certFile and nats.tls.keyFile belong together; give both, or neither')
  if (caFile !== null) await certificates('nats.tls.caFile', caFile)
  if (certFile !== null && keyFile !== null) {
    const cert = await certificates('nats.tls.certFile', certFile)
    const key = await content('nats.tls.keyFile', keyFile)
    try {
      createSecureContext({ cert, key })
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error)
      throw new UserError(
        `nats.tls.keyFile: ${keyFile} is not the private key (PEM) of the certificate in ${certFile} (${because})`,
      )
    }
  }
  return {
    ...(caFile !== null && { caFile }),
    ...(certFile !== null && { certFile }),
    ...(keyFile !== null && { keyFile }),
    ...(handshakeFirst && { handshakeFirst }),
  }
}

async function certificates(key: string, path: string): Promise<Buffer> {
  const pem = await content(key, path)
  if (!isCertificate(pem)) throw new UserError(`${key}: ${path} holds no certificate; a file in PEM form is expected`)
  return pem
}

function isCertificate(pem: Buffer): boolean {
  try {
    return new X509Certificate(pem).subject !== null
  } catch {
    return false
  }
}

async function content(key: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new UserError(
      code === 'ENOENT'
        ? `${key}: there is no file ${path}; correct the path, or put the file there`
        : `${key}: the file ${path} cannot be read (${code}); see that it is a file that this user may read`,
    )
  }
}

function firstLine(bytes: Buffer): string {
  return (bytes.toString('utf8').split('\n')[0] ?? '').trim()
}
