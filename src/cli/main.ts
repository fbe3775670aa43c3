#!/usr/bin/env node
import { endingOf } from './exitCodes.ts'
import { hideCredentials } from './processTitle.ts'
import { complain, createOutput, endQuietlyWithThePipe } from './output.ts'
import { buildProgram } from './program.ts'

/**
 * `ocps`. Every error ends here: as one sentence on standard error, with an exit code a script can tell apart, and with
 * --json as one document {error} on standard output, too.
 */
hideCredentials(process.argv)
endQuietlyWithThePipe()
try {
  const program = await buildProgram(process.argv.slice(2))
  await program.parseAsync()
} catch (error) {
  const { exitCode, code, sentence, said } = endingOf(error)
  if (!said) complain(sentence)
  if (exitCode !== 0 && process.argv.includes('--json'))
    createOutput(true).say('', { error: { code, message: sentence } })
  process.exitCode = exitCode
}
