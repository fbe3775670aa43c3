// The one way a built-in pipeline fails on purpose: a sentence for a person and an exit code for the retry policy.
// Anything else that is thrown is a defect of the pipeline and ends with exit code 1 and its stack.

/** Exit codes of the built-in pipelines, for `retries.on` in their YAML entries. Listed once, never reused. */
export const EXIT = {
  defect: 1,
  /** Wrong arguments or overrides: another attempt cannot help. */
  usage: 2,
  /** The input is missing, malformed or has nothing to work on. */
  badInput: 3,
  /** An outside program the pipeline needs is missing or failed. */
  tool: 4,
} as const

export class PipelineFailure extends Error {
  readonly exitCode: number

  /** `sentence`: what happened, to what, and what was expected, in one sentence without a line break. */
  constructor(sentence: string, exitCode: number = EXIT.badInput) {
    super(sentence.replaceAll(/\s*\n\s*/gu, ' '))
    this.exitCode = exitCode
  }
}

/** What went wrong, as words, for the end of a sentence. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
