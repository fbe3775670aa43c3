import type { Checkpoint, Whole } from '../../machines/domain/messages.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { fromSharedJson, toSharedJson } from './sharing.ts'

/** The whole state of an instance that never rests, cut into entries that the journal holds, and put together again. */

// A journal message holds 1 MiB; quotes are escaped, letters beyond ASCII take up to three bytes.
const TEXT_MAX = 250_000

export function inParts(whole: Whole, textMax = TEXT_MAX): Checkpoint[] {
  const text = toSharedJson(whole)
  const of = Math.ceil(text.length / textMax)
  return Array.from({ length: of }, (_, at) => ({
    type: 'engine.checkpoint',
    machines: MACHINES_VERSION,
    part: at + 1,
    of,
    text: text.slice(at * textMax, (at + 1) * textMax),
  }))
}

export interface Assembly {
  /** The whole, with its last part; null before. One that was cut off by the end of its process is never whole, and the next begins anew. */
  take(part: Checkpoint): Whole | null
}

export function createAssembly(): Assembly {
  let texts: string[] = []
  return {
    take({ part, of, text }) {
      texts = part === 1 ? [text] : [...texts, text]
      return part === of && texts.length === of ? (fromSharedJson(texts.join('')) as Whole) : null
    },
  }
}
