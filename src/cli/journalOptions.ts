import type { SharedOptions } from './session.ts'

/** The options of `ocps journal`, shared by its declaration and what it does. */
export interface JournalCliOptions extends SharedOptions {
  readonly data?: string
  readonly yes?: boolean
}
