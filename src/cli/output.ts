import { styleText } from 'node:util'
import { printable, shown, shownJson } from '../jobFiles/printable.ts'

/**
 * What a verb prints. For people: text on standard output, coloured on a terminal unless NO_COLOR is set. With --json:
 * one JSON document, or one per line while something goes on, and nothing else on standard output.
 */
export interface Output {
  readonly json: boolean
  /** One thing, said in the way that was asked for: a text of one or more lines, or a JSON document on one line. */
  say(text: string, document: unknown): void
  readonly paint: Paint
}

export type Paint = (how: 'good' | 'bad' | 'busy' | 'faint' | 'strong', text: string) => string

const STYLES = { good: 'green', bad: 'red', busy: 'cyan', faint: 'gray', strong: 'bold' } as const

export function createOutput(json: boolean): Output {
  return {
    json,
    say(text, document) {
      if (json) process.stdout.write(`${shownJson(document)}\n`)
      else if (text !== '') process.stdout.write(`${shown(text)}\n`)
    },
    paint: isColoured() && !json ? (how, text) => styleText(STYLES[how], text) : (_how, text) => text,
  }
}

export function complain(sentence: string): void {
  process.stderr.write(`ocps: ${printable(sentence)}\n`)
}

/** `ocps … | head` closes the pipe when it has enough; that is no error. */
export function endQuietlyWithThePipe(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
}

function isColoured(): boolean {
  return process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
}
