import { filledIn } from './template.ts'
import type { DataId } from './dataId.ts'

/**
 * Where the data of a job are. A site's path template is a pure function of the dataId, so it is filled in here and
 * costs no journal entry; what a locator had to be asked for comes with its answer. Commands, environment and members
 * read these and look nowhere else.
 */
export interface Inputs {
  /** The path of the job's own data, or the sentence why there is none. */
  readonly input: Resolved<string>
  /** Of what a gather job combines, in the order of its members; null where it cannot be known. */
  readonly members: readonly (string | null)[]
}

/** What a locator answers. */
export interface Located {
  /** The path of the job's own data; null: they are there, and the pipeline finds them by itself. */
  readonly input: string | null
}

export type Resolved<T> = { readonly ok: T } | { readonly problem: string }

/** undefined: there is no such placeholder. null: there is, but this job has no value for it. */
export type Value = string | null | undefined | { readonly problem: string }

export function inputsOf({
  dataId,
  dataPath,
  members,
  inputs,
}: {
  readonly dataId: DataId
  readonly dataPath: string
  readonly members: readonly { readonly dataId: DataId }[] | null
  readonly inputs?: Located
}): Inputs {
  const pathOf = (of: DataId) => (dataPath === '' ? { problem: NOWHERE } : inputPath(of, dataPath))
  return {
    input: inputs?.input == null ? pathOf(dataId) : { ok: inputs.input },
    members: (members ?? []).map(member => {
      const path = pathOf(member.dataId)
      return 'ok' in path ? path.ok : null
    }),
  }
}

const NOWHERE = '{input} needs dataPath, which is empty in the configuration; set it to where the frames are.'

/** The path of the data of a dataId. A value that could climb out of its place in the path (`/`, `..`) is refused. */
export function inputPath(dataId: DataId, dataPath: string): Resolved<string> {
  return fill(dataPath, name => {
    const value = dataValue(name, dataId)
    if (typeof value !== 'string') return value
    return value === '' || value === '.' || value === '..' || value.includes('/')
      ? { problem: `{${name}} is "${value}", which cannot be part of a path; ask for data that exist.` }
      : value
  })
}

/**
 * `AT_O_20261122_000017`: telescope, controller, dayObs, seqNum (a number, so 17). Source: obs_lsst translators,
 * lsst.py.
 */
const OBSID = /_(\d{8})_(\d{6})$/u

/** A fact of a dataId that a template may name. */
export function dataValue(name: string, { instrument, obsid, group, detector }: DataId): Value {
  switch (name) {
    case 'instrument':
      return instrument
    case 'obsid':
      return obsid
    case 'group':
      return group
    case 'detector':
      return detector === null ? null : String(detector)
    case 'dayObs':
    case 'seqNum': {
      if (obsid === null) return null
      const parts = OBSID.exec(obsid)
      const part = parts?.[name === 'dayObs' ? 1 : 2]
      return part === undefined
        ? { problem: `{${name}} cannot be read from obsid "${obsid}"; it should end like _20261122_000017.` }
        : name === 'dayObs'
          ? part
          : String(Number(part))
    }
    default:
      return undefined
  }
}

/** The site's own version is asked for by naming none. */
export function isDefaultVersion(name: string, value: Value): boolean {
  return name === 'version' && value === ''
}

/** The template with its values, or the sentence why that cannot be. */
export function fill(template: string, valueOf: (name: string) => Value): Resolved<string> {
  let problem: string | null = null
  const text = filledIn(template, ({ text: whole, name, otherwise }) => {
    const value = valueOf(name)
    if (otherwise !== null && (value === null || isDefaultVersion(name, value))) return otherwise
    if (typeof value === 'string') return value
    if (value === undefined) problem ??= `${whole} in "${template}" is unknown; correct the configuration.`
    else if (value === null) problem ??= `${whole} in "${template}" has no value for this job.`
    else problem ??= value.problem
    return ''
  })
  if (problem !== null) return { problem }
  return text.includes('\0') ? { problem: `"${template}" would hold a NUL byte; no argument can.` } : { ok: text }
}
