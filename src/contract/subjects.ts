import { encodeToken } from '../../machines/domain/dataId.ts'

/**
 * Where things are on the wire. The only place that spells a subject; ids from outside are encoded per token, so
 * nothing a client sends can change where a message goes. Camera and OODS subjects carry the names of reference SAL
 * topics.
 */
export function subjects(instance: string) {
  const root = `ocps.${instance}`
  return {
    /** Every command of the instance. */
    commands: `${root}.cmd.>`,
    command: (name: string) => `${root}.cmd.${name}`,
    queries: `${root}.qry.>`,
    query: (name: string) => `${root}.qry.${name}`,
    /** Every event; retained, the last of each subject. */
    events: `${root}.evt.>`,
    event: (topic: string, key: string | null = null) =>
      `${root}.evt.${topic}${key === null ? '' : `.${encodeToken(key)}`}`,
    /** Metrics, datasets, progress and verdicts while a job runs; live only. */
    telemetry: (topic: string, jobId: string) => `${root}.tel.${topic}.${encodeToken(jobId)}`,
    telemetryOf: (jobId: string) => `${root}.tel.*.${encodeToken(jobId)}`,
    allTelemetry: `${root}.tel.>`,
    journal: `${root}.journal`,
  }
}

export const camera = {
  startIntegration: (name: string) => `camera.${name}.evt.startIntegration`,
  endReadout: (name: string) => `camera.${name}.evt.endReadout`,
}

export const oods = {
  imageInOODS: (name: string) => `oods.${name}.evt.imageInOODS`,
  /** Every OODS there is. */
  anyImage: 'oods.*.evt.imageInOODS',
}

/** The streams behind an instance; JetStream names hold no dots. */
export function streams(instance: string) {
  return { journal: `OCPS_${instance}_JOURNAL`, events: `OCPS_${instance}_EVT`, lease: `OCPS_${instance}_LEASE` }
}

/** The last token of a command's or query's subject. */
export function lastToken(subject: string): string {
  return subject.slice(subject.lastIndexOf('.') + 1)
}

/** An instance name is a subject token and part of stream names. */
export const INSTANCE_PATTERN = /^[A-Za-z0-9_-]{1,32}$/
