import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { startService, type Service, type ServiceOptions } from '../../src/instance/start.ts'
import { eventually } from '../bus/eventually.ts'
import { endAll } from '../endAll.ts'
import { connectWire, type Wire } from './wire.ts'

/*
 * Real instances for tests: a folder of its own with a configuration and small pipelines, a service in this process or
 * in a child, and an observer on the wire. Pipelines wait for files that the test writes, so that no test waits for
 * time.
 */
export interface Place {
  readonly dir: string
  readonly configDir: string
  readonly dataDir: string
  /** A file that does not exist yet; a `hold` job that was given it goes on when it does. */
  gate(): Gate
  /** A new file with this content; its path. */
  file(content: string | Uint8Array, mode?: number): string
  remove(): void
}

export interface Gate {
  readonly path: string
  open(): void
}

export interface Running {
  readonly place: Place
  readonly options: ServiceOptions
  readonly service: Service
  readonly wire: Wire
  stop(): Promise<void>
}

export interface Child {
  readonly process: ChildProcess
  readonly natsUrl: string
  readonly workDir: string
  /** Resolves when the process has ended. */
  readonly gone: Promise<unknown>
  /** What it said last. */
  lastWord(): Said
  kill(signal: NodeJS.Signals): Promise<void>
}

type Said = Readonly<Record<string, unknown>>

const text = { type: 'string', default: '' }
const entry = (command: readonly string[], more: object = {}) => ({
  description: 'for tests',
  scope: 'exposure',
  command,
  timeLimit: 60,
  grace: 1,
  ...more,
})
const shell = (script: string, words: readonly string[] = [], more: object = {}) =>
  entry(['/bin/sh', '-c', script, ...words], more)

/** Every pipeline the tests use; each is there in every configuration. */
const pipelines: Readonly<Record<string, object>> = {
  true: entry(['/bin/true']),
  fail: shell('echo "the dome is closed" >&2; exit 7'),
  // Says that it runs, then waits for a file.
  hold: shell('echo "{\\"note\\":\\"running\\"}" >&3; while [ ! -e "$0" ]; do sleep 0.02; done', ['{override.gate}'], {
    overrides: { gate: text },
  }),
  deaf: shell('trap "" TERM; while :; do sleep 0.05; done', [], { grace: 2 }),
  endless: shell('exec sleep 3600', [], { timeLimit: 3_600 }),
  brief: shell('exec sleep 3600', [], { timeLimit: 0.2 }),
  // Its last words are what was given it, byte for byte.
  words: shell(
    'printf %s "$0" > word.txt; printf "{\\"dataset\\":\\"word\\",\\"path\\":\\"word.txt\\"}\\n" >&3',
    ['{override.word}'],
    { overrides: { word: text } },
  ),
  // Copies a file the test wrote into its reports.
  report: shell('cat "$0" >&3', ['{override.file}'], { overrides: { file: text } }),
  poor: shell('echo "{\\"verdict\\":\\"poor seeing\\"}" >&3'),
  version: shell(
    'echo "{\\"note\\":\\"$OCPS_VERSION\\"}" >&3; printf "{\\"verdict\\":\\"%s\\"}\\n" "$OCPS_VERSION" >&3',
  ),
  data: shell('printf "{\\"verdict\\":\\"%s %s %s\\"}\\n" "$OCPS_OBSID" "$OCPS_DETECTOR" "$OCPS_GROUP" >&3'),
  missing: entry(['/nonexistent/program']),
  directory: entry(['/tmp']),
  flood: shell('head -c 60000000 /dev/zero; echo "{\\"note\\":\\"done\\"}" >&3', [], { outputMax: 1_000 }),
  stack: entry(
    [
      '/bin/sh',
      '-c',
      'echo "{\\"metric\\":\\"stack.members\\",\\"value\\":$(grep -o obsid "$OCPS_MEMBERS" | wc -l)}" >&3',
    ],
    { scope: 'group' },
  ),
}

const init = {
  mode: 'async',
  slots: 4,
  queueDepth: 20_000,
  order: 'fifo',
  ackTimeout: 60,
  groups: { policy: 'partial', patience: 60, late: 'regather', linger: 3_600, pipeline: null },
  dataPath: '',
}

export function makePlace(extra: Readonly<Record<string, object>> = {}): Place {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-conformance-'))
  const configDir = join(dir, 'config')
  mkdirSync(join(configDir, 'pipelines'), { recursive: true })
  writeFileSync(join(configDir, '_init.yaml'), stringify(init))
  writeFileSync(join(configDir, 'sync.yaml'), stringify({ mode: 'sync', ackTimeout: 2 }))
  writeFileSync(join(configDir, 'few.yaml'), stringify({ slots: 2 }))
  for (const [name, body] of Object.entries({ ...pipelines, ...extra }))
    writeFileSync(join(configDir, 'pipelines', `${name}.yaml`), stringify(body))
  let files = 0
  return {
    dir,
    configDir,
    dataDir: join(dir, 'data'),
    gate() {
      const path = join(dir, `gate-${++files}`)
      return { path, open: () => writeFileSync(path, '') }
    },
    file(content, mode = 0o644) {
      const path = join(dir, `file-${++files}`)
      writeFileSync(path, content, { mode })
      return path
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}

export function optionsFor(place: Place, changes: Partial<ServiceOptions> = {}): ServiceOptions {
  return {
    instance: 'LATISS',
    natsUrl: null,
    configDir: place.configDir,
    site: '',
    dataDir: place.dataDir,
    initialState: 'ENABLED',
    configurationOverride: '',
    simulate: false,
    logTo: null,
    ...changes,
  }
}

/** A service in this process with a server of its own, unless natsUrl names one, and someone who listens. */
export async function startInstance(
  changes: Partial<ServiceOptions> = {},
  extra: Readonly<Record<string, object>> = {},
): Promise<Running> {
  const place = makePlace(extra)
  const options = optionsFor(place, changes)
  const ends: (() => unknown)[] = [() => place.remove()]
  const stop = () => endAll(ends)
  try {
    const service = await startService(options)
    ends.push(() => service.stop())
    const wire = await connectWire(service.natsUrl, options.instance)
    ends.push(() => wire.close())
    const { summaryState } = await wire.query('state')
    if (summaryState !== options.initialState) throw new Error(`the instance is in ${String(summaryState)}`)
    return { place, options, service, wire, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A service as a process; resolves when it is ready, rejects with its sentence when it refuses. */
export async function startChild(options: ServiceOptions, env: NodeJS.ProcessEnv = process.env): Promise<Child> {
  const loader = fileURLToPath(new URL('../bus/typescriptLoader.mjs', import.meta.url))
  const program = fileURLToPath(new URL('./child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', loader, program, JSON.stringify(options)], {
    // Its stdin ends with us: a test that fails does not come to the line that ends its children.
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
  })
  const gone = once(child, 'exit')
  const said: Said[] = []
  let complaints = ''
  child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
  if (child.stdout) createInterface(child.stdout).on('line', line => said.push(JSON.parse(line) as Said))
  await eventually('the child is ready or refuses', () => said.length > 0 || child.exitCode !== null)
  const [first] = said
  if (first?.['ready'] !== true) {
    await gone
    throw new Error(first === undefined ? complaints : JSON.stringify(first['refused']))
  }
  return {
    process: child,
    natsUrl: String(first['natsUrl']),
    workDir: String(first['workDir']),
    gone,
    lastWord: () => said.at(-1) ?? {},
    async kill(signal) {
      child.kill(signal)
      await gone
    },
  }
}
