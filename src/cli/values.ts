import { InvalidArgumentError } from 'commander'

/** From the words of a command line to values; each throws commander's InvalidArgumentError with what was expected. */

// As contract/commands.ts bounds it: a range that is longer is a slip of the finger.
const DETECTORS_MAX = 1_000

/** `0,1,90..98` as numbers. */
export function detectorList(text: string): number[] {
  const list = text.split(',').flatMap(part => {
    const range = /^(\d{1,4})(?:\.\.(\d{1,4}))?$/.exec(part.trim())
    if (!range) throw new InvalidArgumentError('Detectors are numbers and ranges, such as 0,1,90..98.')
    const from = Number(range[1])
    const to = Number(range[2] ?? range[1])
    if (to < from) throw new InvalidArgumentError(`The range ${part} ends before it begins.`)
    return Array.from({ length: to - from + 1 }, (_, at) => from + at)
  })
  if (list.length > DETECTORS_MAX) throw new InvalidArgumentError(`At most ${DETECTORS_MAX} detectors at a time.`)
  return list
}

/**
 * `name=value`, collected. A value that is a JSON number, boolean or string in quotes is that; anything else is text.
 */
export function override(text: string, before: Record<string, number | string | boolean> = {}) {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('An override is name=value, such as threshold=4.5.')
  return { ...before, [text.slice(0, at)]: scalar(text.slice(at + 1)) }
}

export function seconds(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('A time is a number of seconds above 0, such as 30 or 0.5.')
  return value
}

export function priority(text: string): number {
  const value = Number(text)
  if (!/^[+-]?\d$/.test(text))
    throw new InvalidArgumentError('A priority is a whole number from -9 to 9; higher runs sooner.')
  return value
}

export function idList(text: string): string[] {
  const ids = text.split(',').map(id => id.trim())
  if (ids.includes('')) throw new InvalidArgumentError('Job ids are separated by single commas.')
  return ids
}

const LEVELS: Readonly<Record<string, number>> = { debug: 10, info: 20, warning: 30, warn: 30, error: 40 }

export function logLevel(text: string): number {
  const level = LEVELS[text.toLowerCase()] ?? (/^\d{1,3}$/.test(text) ? Number(text) : Number.NaN)
  if (Number.isNaN(level) || level > 100)
    throw new InvalidArgumentError('A level is debug, info, warning, error, or a number from 0 to 100 as in Python.')
  return level
}

function scalar(text: string): number | string | boolean {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') return value
  } catch {
    // Text as it stands.
  }
  return text
}
