// Puts lines on a terminal and replaces them in place, at most ten times a second and without flicker: each frame is
// one write that overwrites what changed and clears only what is left over. Gives the cursor back whatever happens.

import { shown } from '../jobFiles/printable.ts'

/** Below this a change is not seen, above it a terminal over a slow line falls behind. */
const REDRAW_MS = 100

const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
const CLEAR_TO_LINE_END = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'
/** The terminal shows the frame as a whole, where it knows these words; others ignore them. */
const BEGIN_FRAME = '\u001b[?2026h'
const END_FRAME = '\u001b[?2026l'
/** A line longer than the terminal is cut, not wrapped: a wrapped one would break the count of lines to go up. */
const NO_WRAP = '\u001b[?7l'
const WRAP = '\u001b[?7h'

export interface Terminal {
  write(text: string): unknown
  readonly columns?: number
  readonly rows?: number
}

export interface Screen {
  /** Draws now, and every REDRAW_MS until closed. */
  start(lines: (columns: number) => readonly string[]): void
  /** Replaces the page by its last lines, which stay; or leaves the page as it is. */
  close(last: readonly string[] | null): void
}

export function openScreen(terminal: Terminal): Screen {
  let height = 0
  let timer: NodeJS.Timeout | null = null
  return {
    start(lines) {
      const redraw = (): void => draw(lines(terminal.columns ?? 80))
      terminal.write(HIDE_CURSOR + NO_WRAP)
      redraw()
      timer = setInterval(redraw, REDRAW_MS)
    },
    close(last) {
      if (timer === null) return
      clearInterval(timer)
      timer = null
      // The last page may be taller than the terminal: it is printed as ordinary lines where the live page began.
      if (last !== null) {
        terminal.write(up() + last.map(line => `${shown(line)}${CLEAR_TO_LINE_END}\n`).join('') + CLEAR_BELOW)
        height = 0
      }
      terminal.write(WRAP + SHOW_CURSOR)
    },
  }

  function draw(all: readonly string[]): void {
    // What does not fit cannot be gone back to; the upper part matters most.
    const lines = all.slice(0, Math.max(1, (terminal.rows ?? 24) - 1))
    const text = lines.map(line => `${shown(line)}${CLEAR_TO_LINE_END}\n`).join('')
    terminal.write(BEGIN_FRAME + up() + text + CLEAR_BELOW + END_FRAME)
    height = lines.length
  }

  function up(): string {
    return height === 0 ? '' : `\u001b[${height}A\r`
  }
}
