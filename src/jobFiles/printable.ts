/**
 * Text that a job wrote, made fit for a terminal, a log and a page: no escape sequences, no control characters but
 * newline and tab, and nothing that turns the direction of writing round or cannot be seen.
 */
import { stripVTControlCharacters } from 'node:util'

/** Everything that is not a letter, mark, number, punctuation, symbol or space; half surrogates among it. */
const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\n\t]/gu
/**
 * Sequences that end at ST or BEL (titles, hyperlinks, clipboard) hold text that was never to be seen; one that was cut
 * has no end.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const STRINGS = /(?:\u001B[\]PX^_]|[\u0090\u0098\u009D-\u009F])[^\u0007\u001B\u009C\n]*(?:\u0007|\u001B\\|\u009C)?/gu

export function printable(text: string): string {
  // A progress bar draws over its line: its steps are lines here.
  const plain = stripVTControlCharacters(text.replaceAll(STRINGS, '')).replaceAll(/\r\n?/gu, '\n')
  return plain.replaceAll(UNPRINTABLE, '�')
}

/**
 * The styles of the command line and of the demo, and what ends them: the only sequences a terminal is sent in a text.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const OUR_STYLES = /(\u001B\[(?:0|1|1;31|2|22|3[12369]|90)m)/u

/** A text for a terminal that may hold our own colours; what others wrote into it moves no cursor. */
export function shown(text: string): string {
  const parts = text.split(OUR_STYLES)
  return parts.map((part, index) => (index % 2 === 1 ? part : printable(part))).join('')
}

/** JSON as it is, with what `JSON.stringify` lets through to a terminal spelled out. */
export function shownJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[\u007F-\u009F\p{Cf}\u2028\u2029]/gu, character =>
    character.replaceAll(/[\s\S]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )
}
