/**
 * What the adapters write their log lines to: the part of pino's shape they use. A line is an object with facts and a sentence.
 */
export interface Logger {
  info(facts: object, sentence: string): void
  warn(facts: object, sentence: string): void
  error(facts: object, sentence: string): void
}

export const silent: Logger = { info: () => {}, warn: () => {}, error: () => {} }
