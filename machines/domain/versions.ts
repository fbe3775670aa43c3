import type { Pipeline } from './pipeline.ts'

/** Which software versions a pipeline can be asked for. */

/**
 * '' is the site's default, which every pipeline has. A configuration older than this says nothing of versions:
 * anything was accepted then.
 */
export function knowsVersion({ versions }: Pick<Pipeline, 'versions'>, version: string): boolean {
  return version === '' || versions === undefined || versions.some(pattern => isMatch(pattern, version))
}

/**
 * `*` stands for any characters, none included, `?` for one; in a time that grows with the product of both lengths at
 * most.
 */
export function isMatch(pattern: string, text: string): boolean {
  let at = 0
  let from = 0
  /** Where the last `*` is, and how far the text has gone into it; -1: there was none. */
  let star = -1
  let taken = 0
  while (from < text.length) {
    if (pattern[at] === '*') {
      star = at++
      taken = from
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === text[from])) {
      at++
      from++
    } else if (star >= 0) {
      at = star + 1
      from = ++taken
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
