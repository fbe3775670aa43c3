// FITS header cards: 80 characters each, in blocks of 2880 bytes (FITS Standard 4.0, §3 and §4). Reads the value kinds
// an image header uses (logical, integer, real, string) and writes the same; comments are dropped, CONTINUE and
// HIERARCH are left alone.

export const BLOCK_BYTES = 2880
export const CARD_BYTES = 80

export type CardValue = string | number | boolean

/** Keyword → value, in the order of the file. Keywords without a value (COMMENT, HISTORY, blank) are not kept. */
export type Header = ReadonlyMap<string, CardValue>

/** A header and where the data after it begin. */
export interface HeaderBlock {
  readonly header: Header
  readonly dataStart: number
}

/** Reads one header that begins at byte `start`, or says in words what is wrong with it. */
export function readHeader(bytes: Uint8Array, start: number): HeaderBlock | string {
  const header = new Map<string, CardValue>()
  for (let at = start; at + CARD_BYTES <= bytes.length; at += CARD_BYTES) {
    const card = Buffer.from(bytes.buffer, bytes.byteOffset + at, CARD_BYTES).toString('latin1')
    if (!/^[\x20-\x7e]*$/u.test(card)) return `a header of printable ASCII cards, found other bytes at byte ${at}`
    const keyword = card.slice(0, 8).trimEnd()
    if (keyword === 'END') {
      const cards = (at - start) / CARD_BYTES + 1
      return { header, dataStart: start + Math.ceil((cards * CARD_BYTES) / BLOCK_BYTES) * BLOCK_BYTES }
    }
    if (card.slice(8, 10) !== '= ') continue
    const value = readValue(card.slice(10))
    // The first of two cards with one keyword counts, as astropy and CFITSIO have it.
    if (value !== null && !header.has(keyword)) header.set(keyword, value)
  }
  return 'an END card before the end of the file, found none'
}

/**
 * The header as bytes, padded with spaces to whole blocks. Values too long for a card are cut (strings) as the standard
 * allows.
 */
export function writeHeader(cards: Iterable<readonly [string, CardValue]>): Uint8Array {
  const text = [...cards].map(([keyword, value]) => writeCard(keyword, value)).join('') + 'END'.padEnd(CARD_BYTES)
  return Buffer.from(text.padEnd(Math.ceil(text.length / BLOCK_BYTES) * BLOCK_BYTES), 'latin1')
}

/** The number under a keyword, or undefined where absent or not a finite number. */
export function numberIn(header: Header, keyword: string): number | undefined {
  const value = header.get(keyword)
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function readValue(field: string): CardValue | null {
  const string = /^ *'((?:[^']|'')*)'/u.exec(field)
  if (string?.[1] !== undefined) return string[1].replaceAll("''", "'").trimEnd()
  const bare = (field.split('/')[0] ?? '').trim()
  if (bare === 'T') return true
  if (bare === 'F') return false
  // Fortran's D exponent is legal in FITS and unknown to Number().
  const number = Number(bare.replace(/[dD]/u, 'E'))
  return bare === '' || Number.isNaN(number) ? null : number
}

function writeCard(keyword: string, value: CardValue): string {
  if (!/^[A-Z0-9_-]{1,8}$/u.test(keyword)) throw new RangeError(`"${keyword}" is no FITS keyword: 1-8 of A-Z 0-9 _ -`)
  const name = `${keyword.padEnd(8)}= `
  return (name + writeValue(keyword, value)).padEnd(CARD_BYTES).slice(0, CARD_BYTES)
}

function writeValue(keyword: string, value: CardValue): string {
  if (typeof value === 'boolean') return (value ? 'T' : 'F').padStart(20)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError(`FITS header value ${keyword} must be finite, got ${value}`)
    return String(value).replace('e', 'E').padStart(20)
  }
  let text = value
    .replaceAll(/[^\x20-\x7e]/gu, '?')
    .replaceAll("'", "''")
    .slice(0, 68)
  // A quote cut in half would swallow the closing one.
  if (/(?:^|[^'])(?:'')*'$/u.test(text)) text = text.slice(0, -1)
  return `'${text.padEnd(8)}'`
}
