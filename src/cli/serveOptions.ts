import type { SharedOptions } from './session.ts'

/** The options of `ocps serve`, shared by its declaration and what it does. */
export interface ServeOptions extends SharedOptions {
  readonly state: string
  readonly override: string
  readonly simulate?: boolean
  readonly standby?: boolean
  readonly inspectorToken?: string
}

export const STATES = ['standby', 'disabled', 'enabled', 'offline'] as const
