/**
 * Which server an instance is at: the one the settings name, else the one of an `ocps serve` started in this directory
 * or above.
 */
import { hasCredentials } from '../bus/serverUrl.ts'
import { atServer, justUrl } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { OcpsError } from './errors.ts'
import { findUrlNote, type UrlNote, withNotedToken } from './urlFile.ts'

export interface FoundServers {
  readonly nats: NatsSettings
  /** Where its address is from; null: the settings. */
  readonly note: (UrlNote & { readonly path: string }) | null
}

export function findServers(nats: NatsSettings, instance: string): FoundServers | null {
  if (nats.servers.length > 0) return { nats: withTokens(nats), note: null }
  const note = findUrlNote(instance)
  if (note === null) return null
  // With a token it is a server that `ocps serve` brought along, which knows nothing of keys and certificates.
  return { nats: hasCredentials(note.url) ? justUrl(note.url) : atServer(nats, note.url), note }
}

/** Throws OcpsError UNREACHABLE where none is known, saying what to do. */
export function serversOf(nats: NatsSettings, instance: string): FoundServers {
  const found = findServers(nats, instance)
  if (found !== null) return found
  throw new OcpsError(
    'UNREACHABLE',
    `no server is known for ${instance}: set NATS_URL, name the server, or start one here with "ocps serve --instance ${instance}"`,
  )
}

/** A server of an `ocps serve` that is named without the token, as it is shown, gets the one from its note. */
export function withTokens(nats: NatsSettings): NatsSettings {
  const [url] = nats.servers
  if (url === undefined) return nats
  const known = withNotedToken(url)
  return known === url ? nats : justUrl(known)
}
