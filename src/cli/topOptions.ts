import type { SharedOptions } from './session.ts'

/** The options of `ocps top`, shared by its declaration and what it does. */
export interface TopOptions extends SharedOptions {
  /** undefined: until q is pressed, or once where nobody could. */
  readonly iterations?: number
  readonly delay: number
}
