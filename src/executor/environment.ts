/**
 * The environment of a job: a short list of what OCPS itself was given and what the pipeline's passEnv names, the
 * pipeline's own variables, and OCPS_* facts about the job. Nothing else of OCPS' environment reaches a pipeline, and
 * no credential of OCPS ever does.
 */
import { isPassedOn } from '../../machines/domain/passEnv.ts'
import type { StartOrder } from '../../machines/ports.ts'
import type { Resolved } from '../../machines/domain/located.ts'
import { membersPath, type Surroundings } from './commandLine.ts'

const PASSED_ON = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'USER', 'LOGNAME']

/**
 * The environment of OCPS itself: what every job gets of it (PATH, HOME, LANG, LC_*, TZ, TMPDIR, USER and LOGNAME), and
 * all of it.
 */
export interface OwnEnvironment {
  readonly shared: ReadonlyMap<string, string>
  readonly all: ReadonlyMap<string, string>
}

export function ownEnvironment(own: Readonly<Record<string, string | undefined>>): OwnEnvironment {
  const all = Object.entries(own).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]],
  )
  const shared = all.filter(([name]) => PASSED_ON.includes(name) || /^LC_[A-Z]+$/u.test(name))
  return { shared: new Map(shared), all: new Map(all) }
}

/**
 * `NAME=value` for each variable of a job. A fact a job does not have (the detector of an exposure) is there and empty.
 */
export function environment(order: StartOrder, around: Surroundings, own: OwnEnvironment): Resolved<readonly string[]> {
  const { dataId } = order
  const { input } = around.inputs
  const { passEnv = [] } = order.pipeline
  const variables = new Map(own.shared)
  if (passEnv.length > 0) for (const [name, value] of own.all) if (isPassedOn(name, passEnv)) variables.set(name, value)
  for (const [name, value] of Object.entries(order.pipeline.env)) variables.set(name, value)
  const facts: Record<string, string> = {
    OCPS_JOB_ID: order.jobId,
    OCPS_ATTEMPT: String(order.attempt),
    OCPS_INSTANCE: order.instance,
    OCPS_PIPELINE: order.pipeline.name,
    OCPS_INSTRUMENT: dataId.instrument,
    OCPS_OBSID: dataId.obsid ?? '',
    OCPS_DETECTOR: dataId.detector === null ? '' : String(dataId.detector),
    OCPS_GROUP: dataId.group ?? '',
    OCPS_INPUT: 'ok' in input ? input.ok : '',
    OCPS_MEMBERS: order.members ? membersPath(around.directory) : '',
    OCPS_OVERRIDES: JSON.stringify(order.overrides),
    OCPS_VERSION: order.version,
    OCPS_WORK_DIR: around.directory,
    OCPS_REPORTS: `${around.directory}/reports.ndjson`,
  }
  for (const [name, value] of Object.entries(facts)) variables.set(name, value)
  const list: string[] = []
  for (const [name, value] of variables) {
    if (name === '' || name.includes('=') || name.includes('\0') || value.includes('\0'))
      return {
        problem: `Pipeline ${order.pipeline.name}: the variable "${name.replaceAll('\0', '\\0')}" cannot be set.`,
      }
    list.push(`${name}=${value}`)
  }
  return { ok: list }
}
