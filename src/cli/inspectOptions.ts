import type { SharedOptions } from './session.ts'

/** The options of `ocps inspect`, shared by its declaration and what it does. */
export interface InspectOptions extends SharedOptions {
  readonly port: string
  readonly host: string
  readonly hostName: readonly string[]
  readonly token?: string
  readonly allowCommands?: boolean
  readonly output?: string
}

/** The page is found without being told where, as long as nothing else took this port. */
export const INSPECTOR_PORT = '8133'

/** Only this machine reaches it. */
export const LOOPBACK = '127.0.0.1'

/** The token from the environment. */
export const TOKEN_VARIABLE = 'OCPS_INSPECTOR_TOKEN'
