/** The little of a logger that every part needs; pino has this shape. Fields first, then a sentence. */
export interface Log {
  info(fields: object, sentence: string): void
  warn(fields: object, sentence: string): void
  error(fields: object, sentence: string): void
}

export const silentLog: Log = { info() {}, warn() {}, error() {} }
