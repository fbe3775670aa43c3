import type { SharedOptions } from './session.ts'

/** The options of `ocps serve`, shared by its declaration and what it does. */
export interface ServeOptions extends SharedOptions {
  readonly config?: string
  readonly site: string
  readonly data: string
  readonly state: string
  /** A file for the log; undefined: standard error, unless that is a terminal. */
  readonly log?: string
  readonly override: string
  readonly simulate?: boolean
  readonly standby?: boolean
  readonly promise?: string
  readonly allowOldServer?: boolean
  /** A port, or true for the usual one; undefined: no page. */
  readonly inspector?: string | true
  readonly inspectorHost?: string
  readonly inspectorHostName?: readonly string[]
  readonly inspectorToken?: string
  readonly allowCommands?: boolean
}

export const STATES = ['standby', 'disabled', 'enabled', 'offline'] as const
