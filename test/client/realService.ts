import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Service, startService, type ServiceOptions } from '../../src/instance/start.ts'

/**
 * A real instance with a real nats-server in folders of its own, and pipelines that are a line of shell each. Leaves
 * nothing behind.
 */
export interface RealService {
  readonly service: Service
  readonly root: string
  readonly configDir: string
  readonly dataDir: string
  stop(): Promise<void>
}

const report = (line: object) => `echo '${JSON.stringify(line)}' >&3`

/** `wait` runs until the file `go` appears beside its pipelines, so that a test decides when it ends. */
const scripts = (root: string): Record<string, { scope: string; script: string }> => ({
  look: {
    scope: 'exposure',
    script: [
      report({ metric: 'psf.fwhm', value: 1.21, unit: 'arcsec' }),
      report({ progress: 0.5, note: 'half' }),
      // Progress is live only, and the result of a program that takes no time at all may overtake it.
      'sleep 0.5',
      report({ metric: 'psf.fwhm', value: 1.25, unit: 'arcsec' }),
      report({ metric: 'background', value: 'NaN', unit: 'adu' }),
      'echo picture > preview.png',
      report({ dataset: 'preview', path: 'preview.png', mime: 'image/png' }),
      report({ verdict: 'poor seeing' }),
    ].join('; '),
  },
  detector: { scope: 'detector', script: report({ metric: 'stars', value: 7, unit: '' }) },
  fail: { scope: 'exposure', script: 'echo no such star >&2; exit 3' },
  wait: {
    scope: 'exposure',
    script: `${report({ metric: 'early', value: 1, unit: 's' })}; while [ ! -e ${root}/go ]; do sleep 0.05; done; ${report({ metric: 'late', value: 2, unit: 's' })}`,
  },
  combine: { scope: 'group', script: report({ metric: 'depth', value: 24.5, unit: 'mag' }) },
})

export async function startRealService(
  options: Partial<ServiceOptions> & { mode?: 'async' | 'sync' } = {},
): Promise<RealService> {
  const root = await mkdtemp(join(tmpdir(), 'ocps-client-'))
  const configDir = join(root, 'config')
  const dataDir = join(root, 'data')
  await writeConfiguration(root, options.mode ?? 'async')
  const { mode: _mode, ...rest } = options
  const service = await startService({
    instance: 'TEST',
    natsUrl: null,
    configDir,
    site: '',
    dataDir,
    initialState: 'ENABLED',
    configurationOverride: '',
    simulate: false,
    logTo: null,
    ...rest,
  })
  return {
    service,
    root,
    configDir,
    dataDir,
    async stop() {
      await service.stop()
      await rm(root, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

export async function writeConfiguration(root: string, mode: 'async' | 'sync'): Promise<string> {
  const configDir = join(root, 'config')
  await mkdir(join(configDir, 'pipelines'), { recursive: true })
  await writeFile(
    join(configDir, '_init.yaml'),
    `mode: ${mode}
slots: 4
queueDepth: 100
order: fifo
ackTimeout: 20
groups: { policy: partial, patience: 60, late: regather, linger: 600, pipeline: null }
dataPath: ""
`,
  )
  await writeFile(join(configDir, 'night.yaml'), 'slots: 3\n')
  for (const [name, { scope, script }] of Object.entries(scripts(root)))
    await writeFile(
      join(configDir, 'pipelines', `${name}.yaml`),
      `description: ${name}, for tests
scope: ${scope}
command: ${JSON.stringify(['sh', '-c', script])}
timeLimit: 60
grace: 1
overrides:
  threshold: { type: number, default: 5 }
`,
    )
  return configDir
}
