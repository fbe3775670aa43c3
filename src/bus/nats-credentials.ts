/**
 * Whether the content of a key file is one that can log in, found out before a server is asked. Nothing of it is kept
 * or shown.
 */
import { credsAuthenticator, nkeys } from '@nats-io/transport-node'

/** A credentials file: a user's JWT and its nkey seed, as nsc writes them. */
export function isCredentials(content: Uint8Array): boolean {
  return succeeds(() => credsAuthenticator(content)('nonce'))
}

/** The seed of an nkey, with its checksum. */
export function isNkeySeed(text: string): boolean {
  return succeeds(() => nkeys.fromSeed(new TextEncoder().encode(text)))
}

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt()
    return true
  } catch {
    return false
  }
}
