/**
 * One line of a reports file, as a report. Pure: it never throws, whatever bytes a pipeline wrote, and every line that
 * is not blank gives exactly one report, so that reports can be counted across a restart. Whether a dataset's file is
 * really there is left to datasetFile.ts.
 */
import type { ExecutorReport } from '../../machines/domain/reports.ts'

type WithoutJob<T> = T extends unknown ? Omit<T, 'jobId' | 'attempt'> : never

/** A report as a line tells it; which job it is about is known from the file it stands in. */
export type LineReport = WithoutJob<
  Extract<
    ExecutorReport,
    { type: 'executor.metric' | 'executor.dataset' | 'executor.progress' | 'executor.verdict' | 'executor.badReport' }
  >
>

/** A line is one fact, not a table; a longer one is skipped without being held in memory. */
export const LINE_BYTES_MAX = 65_536
/** astropy units and metric names of the Science Pipelines stay far below; both become keys and axis labels. */
export const METRIC_CHARACTERS_MAX = 128
export const UNIT_CHARACTERS_MAX = 64
/** A sentence for a person, not a log: the log is stderr. */
export const TEXT_CHARACTERS_MAX = 1_000
/** PATH_MAX on Linux is 4 096 with the job's own directory in it. */
export const PATH_CHARACTERS_MAX = 1_024

/** The report a line stands for, a badReport with the reason, or null for a blank line. */
export function parseReportLine(line: Uint8Array): LineReport | null {
  if (line.length > LINE_BYTES_MAX) return tooLong(line.length)
  let text: string
  try {
    text = utf8.decode(line).trim()
  } catch {
    return bad('a line is not UTF-8')
  }
  if (text === '') return null
  const value = parseJson(text)
  if (value === undefined) return bad(`not JSON: ${excerpt(text)}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return bad(`not a JSON object: ${excerpt(text)}`)
  const fields = new Map<string, unknown>(Object.entries(value))
  const kind = KINDS.find(({ key }) => fields.has(key))
  if (!kind) return bad(`none of metric, dataset, progress, note, verdict: ${excerpt(text)}`)
  const unknown = [...fields.keys()].find(key => !kind.fields.includes(key))
  if (unknown !== undefined) return bad(`unknown field ${excerpt(JSON.stringify(unknown))} in a ${kind.key} report`)
  return kind.read(fields)
}

/** What is said of a line that was skipped for its length, bytes. */
export function tooLong(bytes: number): LineReport {
  return bad(`a line of ${bytes} bytes; at most ${LINE_BYTES_MAX} are read`)
}

export function bad(reason: string): LineReport {
  return { type: 'executor.badReport', reason }
}

type Fields = ReadonlyMap<string, unknown>

const KINDS: readonly { key: string; fields: readonly string[]; read: (fields: Fields) => LineReport }[] = [
  { key: 'metric', fields: ['metric', 'value', 'unit'], read: readMetric },
  { key: 'dataset', fields: ['dataset', 'path', 'mime'], read: readDataset },
  { key: 'verdict', fields: ['verdict'], read: readVerdict },
  { key: 'progress', fields: ['progress', 'note'], read: readProgress },
  { key: 'note', fields: ['note'], read: readProgress },
]

function readMetric(fields: Fields): LineReport {
  const metric = fields.get('metric')
  const unit = fields.get('unit') ?? ''
  if (!isName(metric, METRIC_CHARACTERS_MAX)) return notName('metric', METRIC_CHARACTERS_MAX, metric)
  if (unit !== '' && !isName(unit, UNIT_CHARACTERS_MAX)) return notName('unit', UNIT_CHARACTERS_MAX, unit)
  if (!fields.has('value')) return bad(`metric ${metric} has no value; write null for "not measured"`)
  const value = toValue(fields.get('value'))
  return value === undefined
    ? bad(
        `metric ${metric}: value must be a number, NaN, Infinity, -Infinity or null, not ${show(fields.get('value'))}`,
      )
    : { type: 'executor.metric', metric, value, unit }
}

function toValue(value: unknown): number | 'NaN' | 'Infinity' | '-Infinity' | null | undefined {
  if (value === null || value === 'NaN' || value === 'Infinity' || value === '-Infinity') return value
  if (typeof value !== 'number') return undefined
  // 1e999 is legal JSON.
  if (value === Infinity) return 'Infinity'
  return value === -Infinity ? '-Infinity' : value
}

const MIME = /^[a-z]+\/[a-z0-9][a-z0-9!#$&^_.+-]*(?:; ?[a-z0-9-]+=[\w.-]+)*$/iu

function readDataset(fields: Fields): LineReport {
  const dataset = fields.get('dataset')
  const path = fields.get('path')
  const mime = fields.get('mime') ?? 'application/octet-stream'
  if (!isName(dataset, METRIC_CHARACTERS_MAX)) return notName('dataset', METRIC_CHARACTERS_MAX, dataset)
  if (!isName(path, PATH_CHARACTERS_MAX)) return notName('path', PATH_CHARACTERS_MAX, path)
  if (path.startsWith('/') || path.split('/').includes('..'))
    return bad(`dataset ${dataset}: path must be relative and without "..", not ${show(path)}`)
  if (typeof mime !== 'string' || mime.length > METRIC_CHARACTERS_MAX || !MIME.test(mime))
    return bad(`dataset ${dataset}: mime must be like image/png, not ${show(mime)}`)
  return { type: 'executor.dataset', dataset, path, mime }
}

function readVerdict(fields: Fields): LineReport {
  const verdict = fields.get('verdict')
  return isText(verdict) && verdict !== ''
    ? { type: 'executor.verdict', verdict }
    : bad(`verdict must be a text of 1 to ${TEXT_CHARACTERS_MAX} printable characters, not ${show(verdict)}`)
}

function readProgress(fields: Fields): LineReport {
  const fraction = fields.get('progress') ?? null
  const note = fields.get('note') ?? ''
  if (fraction !== null && (typeof fraction !== 'number' || fraction < 0 || fraction > 1))
    return bad(`progress must be a number from 0 to 1 or null, not ${show(fraction)}`)
  return isText(note)
    ? { type: 'executor.progress', fraction, note }
    : bad(`note must be a text of at most ${TEXT_CHARACTERS_MAX} printable characters, not ${show(note)}`)
}

/** Printable: no control characters, no half surrogates, no characters that turn the direction of writing round. */
const NAME = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u
const TEXT = /^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\n\t]*$/u

function isName(value: unknown, charactersMax: number): value is string {
  return typeof value === 'string' && value.length <= charactersMax && NAME.test(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TEXT_CHARACTERS_MAX && TEXT.test(value)
}

function notName(field: string, charactersMax: number, value: unknown): LineReport {
  return bad(`${field} must be a text of 1 to ${charactersMax} printable characters, not ${show(value)}`)
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : excerpt(JSON.stringify(value))
}

/** Enough of a line to find it again, with everything unprintable spelled out. */
function excerpt(text: string): string {
  const start = text.slice(0, 80).replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '�')
  return text.length > 80 ? `${start}…` : start
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * JSON, and the bare NaN, Infinity and -Infinity of Python's json.dumps, which become the words. undefined: neither.
 */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    if (!/NaN|Infinity/u.test(text)) return undefined
  }
  try {
    return JSON.parse(
      text.replaceAll(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/gu, token =>
        token.startsWith('"') ? token : `"${token}"`,
      ),
    )
  } catch {
    return undefined
  }
}
