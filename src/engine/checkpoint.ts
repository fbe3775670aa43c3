import type { Checkpoint, Whole } from '../../machines/domain/messages.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { MARK_FORMAT } from '../journal/entry.ts'
import { fromSharedJson, toSharedJson } from './sharing.ts'

/** The whole state of an instance that never rests, cut into entries that the journal holds, and put together again. */

// Quotes are escaped once more, letters beyond ASCII take up to three bytes; the rest of the entry takes a few hundred.
const BYTES_PER_CHARACTER = 4

/** `entryMax`: bytes of one entry. */
export function inParts(whole: Whole, entryMax: number): Checkpoint[] {
  const textMax = Math.max(1, Math.floor(entryMax / BYTES_PER_CHARACTER))
  const text = toSharedJson(whole)
  const of = Math.ceil(text.length / textMax)
  return Array.from({ length: of }, (_, at) => ({
    type: 'engine.checkpoint',
    machines: MACHINES_VERSION,
    format: MARK_FORMAT,
    part: at + 1,
    of,
    text: text.slice(at * textMax, (at + 1) * textMax),
  }))
}

export interface Assembly {
  /**
   * The whole, with its last part; null before. One that was cut off by the end of its process is never whole, and the
   * next begins anew.
   */
  take(part: Checkpoint): Whole | null
  /** The texts of the parts taken since the last whole. */
  soFar(): readonly string[]
}

export function createAssembly(like?: Assembly): Assembly {
  let texts: readonly string[] = like?.soFar() ?? []
  return {
    soFar: () => texts,
    take({ part, of, text }) {
      if (part === 1) texts = []
      if (part !== texts.length + 1) return null
      texts = [...texts, text]
      if (part < of) return null
      const whole = fromSharedJson(texts.join('')) as Whole
      texts = []
      return whole
    },
  }
}
