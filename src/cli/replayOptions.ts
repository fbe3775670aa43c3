import type { SharedOptions } from './session.ts'

/** The options of `ocps replay`, shared by its declaration and what it does. */
export interface ReplayOptions extends SharedOptions {
  readonly events?: string
  readonly config?: string
  readonly configDir?: string
  readonly set?: readonly Setting[]
  readonly onto?: string
  readonly speed: number
  readonly onlyData?: boolean
  readonly sameIds?: boolean
}

/** `--set slots=4`: where in the configuration, and what is there instead. */
export interface Setting {
  readonly path: readonly string[]
  readonly value: unknown
}
