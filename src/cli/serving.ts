import type { SummaryState } from '../../machines/domain/summaryState.ts'
import { connectOcps } from '../client/index.ts'
import { removeUrlFile, urlFile, writeUrlFile } from '../client/urlFile.ts'
import { createConfigurationSource } from '../config/load.ts'
import { checkTemplate } from '../executor/commandLine.ts'
import { type Service, startService } from '../service.ts'
import { UserError } from '../userError.ts'
import { configurationDirectory } from './configurationDirectory.ts'
import { EXIT } from './exitCodes.ts'
import { createOutput } from './output.ts'
import { STATES, type ServeOptions } from './serveOptions.ts'

/**
 * Runs an instance until it is told to stop. Leaves a note of its server for the other verbs; what it runs is service.ts's.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { instance, site, override } = options
  const wanted = stateOf(options.state)
  const out = createOutput(options.json === true)
  const configDir = configurationDirectory(options.config)
  const path = urlFile(instance)
  const logs = options.json === true || !process.stderr.isTTY
  let service: Service | null = null
  let signals = 0
  const stop = () => {
    signals += 1
    // Before there is a service there is nothing that needs an orderly end but the server, which ends with us.
    if (signals > 1 || service === null) process.exit(EXIT.INTERRUPTED)
    void service.stop()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)

  const running = await startService({
    instance,
    natsUrl: options.url ?? (process.env['NATS_URL'] || null),
    configDir,
    site,
    dataDir: options.data,
    initialState: wanted,
    configurationOverride: override,
    simulate: options.simulate === true,
    logTo: logs ? 2 : null,
  })
  service = running
  if (wanted !== 'OFFLINE') {
    writeUrlFile(path, { url: running.natsUrl, pid: process.pid })
    const present = await presentState(running)
    const problem = present === wanted ? null : problemOf({ configDir, site, instance, override })
    out.say(
      banner({
        service: running,
        present,
        wanted,
        problem,
        configDir,
        ownServer: options.url === undefined && !process.env['NATS_URL'],
        instance,
      }),
      {
        instance,
        natsUrl: running.natsUrl,
        promise: running.promise,
        workDir: running.workDir,
        configDir,
        state: present,
        problem,
        pid: process.pid,
      },
    )
  }
  const how = await running.ended
  removeUrlFile(path)
  process.off('SIGINT', stop)
  process.off('SIGTERM', stop)
  const text = { offline: 'went OFFLINE', stopped: 'stopped', lost: 'lost its name to another process' }[how]
  process.stderr.write(logs ? '' : `OCPS ${instance} ${text}; its jobs go on and are taken up at the next start\n`)
  process.exitCode = how === 'lost' ? EXIT.FAILED : EXIT.DONE
}

interface Ready {
  readonly instance: string
  readonly service: Service
  readonly present: string
  readonly wanted: string
  readonly problem: string | null
  readonly configDir: string
  readonly ownServer: boolean
}

function banner({ instance, service, present, wanted, problem, configDir, ownServer }: Ready): string {
  const go = problem === null && present === wanted ? '' : `\n  wanted        ${wanted}: ${problem ?? 'see the log'}`
  const next =
    present === 'ENABLED'
      ? `ocps process AT_O_20261122_000017 --pipeline quicklook --wait`
      : present === 'STANDBY'
        ? 'ocps start && ocps enable'
        : 'ocps status'
  return `OCPS ${instance} is ${present}${go}
  server        ${service.natsUrl}${ownServer ? ' (our own; ends with us)' : ''}
  durability    ${service.promise}
  configuration ${configDir}
  jobs' files   ${service.workDir}
  try           ${next}${instance === 'LATISS' ? '' : `   (with --instance ${instance} or OCPS_INSTANCE)`}
  stop          Ctrl-C`
}

function stateOf(text: string): Exclude<SummaryState, 'FAULT'> {
  const name = text.toLowerCase()
  if (name === 'fault' || text === '3')
    throw new UserError('an instance cannot be started in FAULT; it goes there by itself, when it must')
  const state = STATES.find(one => one === name)
  if (state === undefined)
    throw new UserError(`there is no state ${JSON.stringify(text)} to start in; there are ${STATES.join(', ')}`)
  const states = { standby: 'STANDBY', disabled: 'DISABLED', enabled: 'ENABLED', offline: 'OFFLINE' } as const
  return states[state]
}

async function presentState({ instance, natsUrl }: Service): Promise<string> {
  const ocps = await connectOcps({ instance, url: natsUrl })
  try {
    return await ocps.state()
  } finally {
    await ocps.close()
  }
}

/** Why the configuration was refused; null if it is none of that. */
function problemOf({
  configDir,
  site,
  instance,
  override,
}: Record<'configDir' | 'site' | 'instance' | 'override', string>) {
  const loaded = createConfigurationSource({ dir: configDir, site, instance, checkTemplate }).load(override)
  return loaded.ok ? null : loaded.problem
}
