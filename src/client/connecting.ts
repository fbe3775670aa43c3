import { hostname, userInfo } from 'node:os'
import { INSTANCE_PATTERN } from '../contract/subjects.ts'
import { connect } from '../settings/connect.ts'
import { UserError } from '../userError.ts'
import { fromBus } from './acknowledgements.ts'
import { OcpsError } from './errors.ts'
import { createOcps, type Ocps } from './ocps.ts'
import type { FoundServers } from './servers.ts'

/** A client of one instance, at servers that are known already. Throws OcpsError, saying what to do. */
export async function connectThrough(
  { nats, note = null }: Pick<FoundServers, 'nats'> & Partial<FoundServers>,
  { instance, identity }: { readonly instance: string; readonly identity: string },
): Promise<Ocps> {
  if (!INSTANCE_PATTERN.test(instance))
    throw new OcpsError(
      'BAD_REQUEST',
      `the instance name ${JSON.stringify(instance)} must be 1 to 32 letters, digits, _ or -`,
    )
  if (!/^[\x21-\x7E]{1,128}$/.test(identity))
    throw new OcpsError('BAD_REQUEST', 'the identity must be 1 to 128 printable ASCII characters without spaces')
  try {
    return createOcps({ bus: await connect({ nats }, `ocps-client.${identity}`), instance, identity })
  } catch (error) {
    const known = asOcpsError(error)
    if (note === null || !(known instanceof OcpsError)) throw known
    const hint = ` This address is from ${note.path}, left by process ${note.pid}; is that still running? Credentials are not kept there: a server that asks for some is named in NATS_URL, or given OCPS_NATS_CREDS or OCPS_NATS_NKEY.`
    throw new OcpsError(known.kind, known.message + hint)
  }
}

/** A file or a setting that is wrong is a mistake of whoever asks. */
export function asOcpsError(error: unknown): unknown {
  return error instanceof UserError ? new OcpsError('BAD_REQUEST', error.message) : fromBus(error)
}

/** `user@host`, as salobj identifies people. */
export function defaultIdentity(): string {
  const name = `${userName()}@${hostname()}`.replaceAll(/[^\x21-\x7E]/g, '_')
  return name.slice(0, 128)
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container's user may have no name.
    return `uid${process.getuid?.() ?? 0}`
  }
}
