/**
 * Where the inspector's page is and who may look, as the options of two verbs say it: `ocps inspect` has it for itself,
 * `ocps serve` beside an instance. The same rules and the same sentences, each under the names its verb gives them.
 * What the rules are for is access.ts's.
 */
import { isLoopback, isToken, newToken, TOKEN_RULE } from '../inspector/access.ts'
import { UserError } from '../userError.ts'
import { TOKEN_VARIABLE } from './inspectOptions.ts'

export interface AddressOptions {
  readonly port: string
  readonly host: string
  readonly names: readonly string[]
  readonly token: string | undefined
}

export interface InspectorAddress {
  readonly port: number
  readonly host: string
  readonly names: readonly string[]
  /** null: whoever reaches it may look. */
  readonly token: string | null
  /** Made here, so that it has to be said. */
  readonly isNewToken: boolean
}

/** What a verb calls its options. */
export type Spelled = Readonly<Record<'port' | 'host' | 'name' | 'token', string>>

export const OF_INSPECT: Spelled = { port: '--port', host: '--host', name: '--host-name', token: '--token' }
export const OF_SERVE: Spelled = {
  port: '--inspector',
  host: '--inspector-host',
  name: '--inspector-host-name',
  token: '--inspector-token',
}

const HOST_NAME = /^([A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/

/** Throws UserError for what is none. */
export function addressOf({ port, host, names, token }: AddressOptions, spelled: Spelled): InspectorAddress {
  for (const name of names)
    if (!HOST_NAME.test(name))
      throw new UserError(`${spelled.name} ${name}: a name like inspector.example.org, or with :port, and nothing else`)
  return { port: portOf(port, spelled), host, names, ...tokenOf(host, token, spelled) }
}

export function cannotListen(error: unknown, { port, host }: InspectorAddress, spelled: Spelled): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'EADDRINUSE')
    return new UserError(`port ${port} is taken; choose another with ${spelled.port}, or 0 for any`)
  if (NOT_HERE.includes(code))
    return new UserError(
      `the inspector may not listen on ${host} port ${port} (${code}); choose others with ${spelled.host}, ${spelled.port}`,
    )
  return error
}

// Not ours to take, not this machine's, or no address at all.
const NOT_HERE = ['EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL']

/** Whoever is not on this machine must bring a token: the one given, or else one made now. */
function tokenOf(
  host: string,
  given: string | undefined,
  spelled: Spelled,
): Pick<InspectorAddress, 'token' | 'isNewToken'> {
  const token = given ?? (process.env[TOKEN_VARIABLE] || null)
  if (token !== null && !isToken(token))
    throw new UserError(`the token of ${given === undefined ? TOKEN_VARIABLE : spelled.token} is none: ${TOKEN_RULE}`)
  if (token !== null) return { token, isNewToken: false }
  return isLoopback(host) ? { token: null, isNewToken: false } : { token: newToken(), isNewToken: true }
}

function portOf(text: string, spelled: Spelled): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new UserError(`${spelled.port} ${text}: a port is a number from 0 to 65535`)
  return port
}
