import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll } from 'vitest'
import type { Configuration } from '../../machines/domain/configuration.ts'
import { createConfigurationSource } from '../../src/config/load.ts'
import { checkTemplate } from '../../src/executor/commandLine.ts'

/** Folders of configuration files, as the tests of the configuration begin with them. */

export const root = mkdtempSync(join(tmpdir(), 'ocps-config-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

export const INIT = `mode: async
slots: 2
queueDepth: 100
order: fifo
ackTimeout: 60
groups: { policy: partial, patience: 300, late: regather, linger: 3600, pipeline: null }
dataPath: ""
`

export const PIPELINE = `description: a test
scope: exposure
command: [/bin/true, "{obsid}"]
timeLimit: 60
`

export const FULL = `description: a test
scope: detector
command: [/bin/true, "{override.snr}"]
env: { A: "1" }
passEnv: [LSST_*, DAF_BUTLER_REPO]
timeLimit: 1.5
grace: 2
slots: 2
outputMax: 1000
retries: { attempts: 3, backoff: 0.5, on: [7, signal] }
overrides: { snr: { type: number, default: 5, minimum: 1, maximum: 50 }, mode: { type: string } }
configFiles: [fast.yaml]
`

let serial = 0

/**
 * A configuration folder of its own, and how to read it. The files given replace or join `_init.yaml` and one pipeline.
 */
export function folder(files: Readonly<Record<string, string>> = {}, site = 'summit') {
  const dir = join(root, `c${++serial}`)
  for (const [name, text] of Object.entries({ '_init.yaml': INIT, 'pipelines/quicklook.yaml': PIPELINE, ...files })) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  }
  return createConfigurationSource({ dir, site, instance: 'LATISS', checkTemplate })
}

export function configurationOf(source: ReturnType<typeof folder>, override = ''): Configuration {
  const read = source.load(override)
  if (!read.ok) throw new Error(read.problem)
  return read.configuration
}

export function problemOf(source: ReturnType<typeof folder>, override = ''): string {
  const read = source.load(override)
  if (read.ok) throw new Error('the configuration was accepted')
  return read.problem
}

export const withInit = (from: string, to: string) => folder({ '_init.yaml': INIT.replace(from, to) })

export const withPipeline = (from: string, to: string) => folder({ 'pipelines/quicklook.yaml': FULL.replace(from, to) })
