/**
 * The part of the Butler's query language that names one exposure, and perhaps one detector of it: equalities joined by
 * AND, and lists of one. Everything else (OR, NOT, comparisons, several values) is refused with a sentence, never
 * guessed at, and no character of it goes further than this file unread. Source: daf_butler's expression language; the
 * exposure id is dayObs and five digits of seqNum (obs_lsst translators, lsst.py).
 */
export interface NamedData {
  readonly instrument: string | null
  readonly obsid: string | null
  /** YYYYMMDD and the number in that night; null where the obsid is named instead. */
  readonly exposure: { readonly dayObs: number; readonly seqNum: number } | null
  readonly detector: number | null
}

export type Reading = { readonly ok: true; readonly data: NamedData } | { readonly ok: false; readonly reason: string }

/** The names a query may hold, as the Butler spells them, and what each means. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  instrument: 'instrument',
  'instrument.name': 'instrument',
  exposure: 'exposureId',
  'exposure.id': 'exposureId',
  visit: 'exposureId',
  'visit.id': 'exposureId',
  'exposure.obs_id': 'obsid',
  obs_id: 'obsid',
  day_obs: 'dayObs',
  'exposure.day_obs': 'dayObs',
  'visit.day_obs': 'dayObs',
  'exposure.seq_num': 'seqNum',
  'visit.seq_num': 'seqNum',
  detector: 'detector',
  'detector.id': 'detector',
}

type Meaning = 'instrument' | 'exposureId' | 'obsid' | 'dayObs' | 'seqNum' | 'detector'
type Value = string | number

export function readDataQuery(query: string): Reading {
  const tokens = tokensOf(query)
  if (typeof tokens === 'string') return { ok: false, reason: tokens }
  const terms = termsOf(tokens)
  if (typeof terms === 'string') return { ok: false, reason: terms }
  const named = new Map<Meaning, Value>()
  for (const { name, values } of terms) {
    const meaning = Object.hasOwn(MEANINGS, name) ? MEANINGS[name] : undefined
    if (meaning === undefined)
      return { ok: false, reason: `${name} cannot be asked for; there are ${Object.keys(MEANINGS).join(', ')}` }
    const [value] = values
    if (value === undefined || values.length > 1) return { ok: false, reason: severalOf(meaning, values.length) }
    const isText = meaning === 'instrument' || meaning === 'obsid'
    if (isText !== (typeof value === 'string'))
      return { ok: false, reason: `${name} is ${isText ? 'a text in quotes' : 'a number'}` }
    if (named.has(meaning)) return { ok: false, reason: `${name} is given twice` }
    named.set(meaning, value)
  }
  return dataOf(named)
}

function dataOf(named: ReadonlyMap<Meaning, Value>): Reading {
  const number = (meaning: Meaning) => (named.has(meaning) ? Number(named.get(meaning)) : null)
  const text = (meaning: Meaning) => (named.has(meaning) ? String(named.get(meaning)) : null)
  const [id, dayObs, seqNum, obsid] = [number('exposureId'), number('dayObs'), number('seqNum'), text('obsid')]
  if ([id, obsid, seqNum].filter(one => one !== null).length !== 1 || (dayObs === null) !== (seqNum === null))
    return {
      ok: false,
      reason:
        "name the exposure in one way: exposure = 2026112200017, exposure.obs_id = 'AT_O_20261122_000017', or exposure.day_obs and exposure.seq_num",
    }
  const exposure =
    id !== null
      ? { dayObs: Math.floor(id / SEQ_NUMS), seqNum: id % SEQ_NUMS }
      : dayObs !== null && seqNum !== null
        ? { dayObs, seqNum }
        : null
  // Other controllers than the observatory's own have later years in their exposure ids.
  if (exposure && (!/^20\d{6}$/.test(String(exposure.dayObs)) || exposure.seqNum > 999_999))
    return {
      ok: false,
      reason:
        'an exposure is a number like 2026112200017: the night as YYYYMMDD and five digits; otherwise name exposure.obs_id',
    }
  return { ok: true, data: { instrument: text('instrument'), obsid, exposure, detector: number('detector') } }
}

const SEQ_NUMS = 100_000

function severalOf(meaning: Meaning, count: number): string {
  return meaning === 'detector'
    ? `it names ${count} detectors, and execute runs one job; leave detector out for the whole exposure, or send processData with a list`
    : `it names ${count} values of ${meaning}, and execute runs one job over one exposure; send one command for each, or put them into a group with processData`
}

interface Term {
  readonly name: string
  readonly values: readonly Value[]
}

type Token =
  | { readonly kind: 'word' | 'text' | 'sign'; readonly text: string }
  | { readonly kind: 'range'; readonly text: string; readonly from: number; readonly to: number; readonly step: number }

// A word, a text in either quotes, a number or range, a sign; nothing escapes anything in a text.
const TOKEN =
  /\s*(?:([A-Za-z_][A-Za-z0-9_.]*)|'([^']*)'|"([^"]*)"|(\d{1,15})(?:\.\.(\d{1,15})(?::(\d{1,9}))?)?|(==?|[(),]))/y

function tokensOf(query: string): readonly Token[] | string {
  const tokens: Token[] = []
  const end = query.trimEnd().length
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex
    const found = TOKEN.exec(query)
    if (!found) return `it cannot be read from ${JSON.stringify(query.slice(at, at + SHOWN_MAX).trim())} on; ${FORM}`
    const [text, word, single, double, from, to = from, step = '1', sign] = found
    if (word !== undefined) tokens.push({ kind: 'word', text: word })
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: sign })
    else if (from === undefined) tokens.push({ kind: 'text', text: single ?? double ?? '' })
    else tokens.push({ kind: 'range', text: text.trim(), from: Number(from), to: Number(to), step: Number(step) })
  }
  return tokens
}

const SHOWN_MAX = 24
const FORM = "it is equalities joined by AND, such as instrument='LATISS' AND exposure=2026112200017 AND detector=0"

function termsOf(tokens: readonly Token[]): readonly Term[] | string {
  const terms: Term[] = []
  let at = 0
  const isWord = (token: Token | undefined, word: string) => token?.kind === 'word' && token.text.toUpperCase() === word
  for (;;) {
    const [name, operator] = [tokens[at], tokens[at + 1]]
    if (name?.kind !== 'word') return FORM
    if (operator?.kind === 'sign' && operator.text.startsWith('=')) {
      const value = valuesOf(tokens[at + 2])
      if (value === null) return FORM
      terms.push({ name: name.text, values: value })
      at += 3
    } else if (isWord(operator, 'IN')) {
      const closed = tokens.findIndex(({ kind, text }, index) => index > at && kind === 'sign' && text === ')')
      const values = listOf(tokens.slice(at + 2, closed + 1))
      if (closed === -1 || values === null) return FORM
      terms.push({ name: name.text, values })
      at = closed + 1
    } else return FORM
    if (at === tokens.length) return terms
    if (!isWord(tokens[at], 'AND')) return FORM
    at += 1
  }
}

/** `(1, 2, 5..7)`, brackets included. */
function listOf([open, ...rest]: readonly Token[]): readonly Value[] | null {
  if (open?.kind !== 'sign' || open.text !== '(') return null
  const values: Value[] = []
  for (let at = 0; at < rest.length; at += 2) {
    const [value, divider] = [valuesOf(rest[at]), rest[at + 1]]
    if (value === null || divider?.kind !== 'sign' || !/^[,)]$/.test(divider.text)) return null
    values.push(...value)
  }
  return values
}

// Enough to say that there are several; a range may be of any length.
const COUNTED_MAX = 1_000

function valuesOf(token: Token | undefined): readonly Value[] | null {
  if (token?.kind === 'text') return [token.text]
  if (token?.kind !== 'range' || token.to < token.from || token.step < 1) return null
  const count = Math.min(COUNTED_MAX, Math.floor((token.to - token.from) / token.step) + 1)
  return Array.from({ length: count }, (_, index) => token.from + index * token.step)
}
