/**
 * Text that a job wrote, made fit for a terminal, a log and a page: no escape sequences, no control characters but newline and tab, and
 * nothing that turns the direction of writing round or cannot be seen.
 */
import { stripVTControlCharacters } from 'node:util'

/** Everything that is not a letter, mark, number, punctuation, symbol or space; half surrogates among it. */
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\n\t]/gu
/** Sequences that end at ST or BEL (titles, hyperlinks, clipboard) hold text that was never to be seen; one that was cut has no end. */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const STRINGS = /(?:\u001B[\]PX^_]|[\u0090\u0098\u009D-\u009F])[^\u0007\u001B\u009C\n]*(?:\u0007|\u001B\\|\u009C)?/gu

export function printable(text: string): string {
  // A progress bar draws over its line: its steps are lines here.
  const plain = stripVTControlCharacters(text.replaceAll(STRINGS, '')).replaceAll(/\r\n?/gu, '\n')
  return plain.replaceAll(UNPRINTABLE, '�')
}
