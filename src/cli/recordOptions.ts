import type { SharedOptions } from './session.ts'

/** The options of `ocps record`, shared by its declaration and what it does. */
export interface RecordOptions extends SharedOptions {
  readonly from?: string
  readonly to?: string
  readonly day?: string
  readonly output?: string
  readonly gzip?: boolean
  readonly data?: string
}
