import { setTimeout as delay } from 'node:timers/promises'
import type { SummaryState } from '../../machines/domain/summaryState.ts'
import { connectThrough, defaultIdentity } from '../client/connecting.ts'
import type { Ocps } from '../client/ocps.ts'
import { withTokens } from '../client/servers.ts'
import { removeUrlFile, urlFile, writeUrlFile } from '../client/urlFile.ts'
import { createConfigurationSource } from '../config/load.ts'
import { checkTemplate } from '../executor/commandLine.ts'
import { openLogFile } from '../logFile.ts'
import { type Service, startService } from '../instance/start.ts'
import { NATS_VARIABLES } from '../settings/connect.ts'
import { UserError } from '../userError.ts'
import { configurationDirectory } from './configurationDirectory.ts'
import { EXIT } from './exitCodes.ts'
import { TOKEN_VARIABLE } from './inspectOptions.ts'
import { addressOf, type InspectorAddress, OF_SERVE } from './inspectorAddress.ts'
import { startInspector } from './inspectorChild.ts'
import { httpAddress } from './httpAddress.ts'
import { complain, createOutput, type Output } from './output.ts'
import { eventLine } from './watch.ts'
import { STATES, type ServeOptions } from './serveOptions.ts'

/**
 * Runs an instance until it is told to stop. Leaves a note of its server for the other verbs; what it runs is
 * instance/start.ts's.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { instance, override } = options
  const { settings } = options.loaded
  const { site, logFile, promise: survives } = settings
  const wanted = stateOf(options.state)
  const { allowCommands } = settings.inspector
  const inspectorAt = inspectorOf(options)
  const named = withTokens(settings.nats)
  const [natsUrl = null] = named.servers
  // Whoever we start gets what it needs, and no more: a launcher lives longer than we do.
  for (const secret of [...NATS_VARIABLES, TOKEN_VARIABLE]) delete process.env[secret]
  const out = createOutput(options.json === true)
  const configDir = configurationDirectory(settings.configDir)
  const path = urlFile(instance)
  const logs = options.json === true || !process.stderr.isTTY
  let service: Service | null = null
  let endInspector = () => {}
  let signals = 0
  const log = logFile === null ? (logs ? openLogFile(2, () => {}) : null) : openLogFile(logFile, complain)
  const stop = (signal: NodeJS.Signals) => {
    signals += 1
    // Before there is a service there is nothing that needs an orderly end but the server, which ends with us.
    if (signals > 1 || service === null)
      process.exit(signals === 1 && options.standby === true ? EXIT.DONE : EXIT.INTERRUPTED)
    void service.stop(signal)
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  const reopen = () => log?.reopen()
  // Without a file of ours it means what it always meant: the terminal is gone.
  if (logFile !== null) process.on('SIGHUP', reopen)

  const running = await startService({
    instance,
    natsUrl,
    ...(natsUrl !== null && { nats: named }),
    configDir,
    site,
    dataDir: settings.dataDir,
    initialState: wanted,
    configurationOverride: override,
    simulate: options.simulate === true,
    logTo: log?.stream ?? null,
    standby: options.standby === true,
    ...(survives !== null && { survives }),
    allowOldServer: settings.allowOldServer,
    partSettings: settings,
    http: await httpAddress(settings),
    eventsDays: settings.retention.eventsDays,
    onWaiting: active => {
      if (!logs) process.stderr.write(`OCPS ${instance} stands by; active is ${active}\n`)
    },
  }).catch((error: unknown) => {
    endAnyway()
    throw error
  })
  service = running
  const ocps = wanted === 'OFFLINE' ? null : await present().catch(giveUp)
  if (ocps && !logs) void showEvents(ocps, out)
  const { how, why } = await running.ended
  endInspector()
  await ocps?.close()
  removeUrlFile(path)
  process.off('SIGINT', stop)
  process.off('SIGTERM', stop)
  process.off('SIGHUP', reopen)
  const ended = {
    offline: 'went OFFLINE',
    stopped: 'stopped',
    lost: 'lost its name to another process',
    broken: `cannot go on: ${why}`,
  }[how]
  if (!logs) process.stderr.write(`OCPS ${instance} ${ended}\n`)
  process.exitCode = how === 'lost' || how === 'broken' ? EXIT.FAILED : EXIT.DONE
  endAnyway()

  /** Says that it runs, as anybody would see it from outside. */
  async function present(): Promise<Ocps> {
    const { shownUrl, token, promise, survives, serverVersion, workDir } = running
    writeUrlFile(path, { url: shownUrl, ...(token !== null && { token }), pid: process.pid })
    const { client, state } = await seen()
    const inspector =
      inspectorAt && (await startInspector({ instance, nats: running.nats, address: inspectorAt, allowCommands }))
    endInspector = () => inspector?.stop()
    const problem = state === wanted ? null : problemOf({ configDir, site, instance, override })
    out.say(
      banner({
        service: running,
        state,
        wanted,
        problem,
        configDir,
        inspector: inspector?.url ?? null,
        isTokenKnown: inspectorAt !== null && inspectorAt.token !== null && !inspectorAt.isNewToken,
      }),
      {
        instance,
        natsUrl: shownUrl,
        serverVersion,
        promise,
        survives,
        workDir,
        configDir,
        inspector: inspector?.url ?? null,
        state,
        problem,
        pid: process.pid,
      },
    )
    return client
  }

  async function seen(): Promise<{ client: Ocps; state: string }> {
    const until = performance.now() + SEEN_WITHIN_MS
    for (;;) {
      try {
        const client = await connectThrough({ nats: running.nats }, { instance, identity: defaultIdentity() })
        try {
          return { client, state: await client.state() }
        } catch (error) {
          await client.close()
          throw error
        }
      } catch (error) {
        // The server may be gone again, or busy with what is said first after a long night: who serves waits for it,
        // and so does the word that it serves.
        if (options.standby !== true && performance.now() > until) throw error
        const how = await Promise.race([running.ended, delay(SEEN_AGAIN_MS, null)])
        if (how !== null) throw error
      }
    }
  }

  async function giveUp(error: unknown): Promise<null> {
    endInspector()
    await running.stop()
    removeUrlFile(path)
    // When it ended for another reason that is what counts, not that it was not seen any more.
    if (signals > 0 || (await running.ended).how !== 'stopped') return null
    endAnyway()
    throw error
  }
}

/** A question to a server that is away takes longer than this. */
const SEEN_AGAIN_MS = 500
/** Nobody stands by for one that is not seen: it ends, and whoever started it hears why. */
const SEEN_WITHIN_MS = 30_000

/** Everything has been taken apart; a timer that was forgotten in a start that broke must not keep the process. */
const END_ANYWAY_MS = 2_000

function endAnyway(): void {
  setTimeout(() => process.exit(), END_ANYWAY_MS).unref()
}

interface Ready {
  readonly service: Service
  readonly state: string
  readonly wanted: string
  readonly problem: string | null
  readonly configDir: string
  /** Where its page is; null: none was asked for, or it did not come up. */
  readonly inspector: string | null
  /** Whoever looks has to bring a token that was given, and is not said again. */
  readonly isTokenKnown: boolean
}

function banner({ service, state, wanted, problem, configDir, inspector, isTokenKnown }: Ready): string {
  const { instance } = service
  const go = problem === null && state === wanted ? '' : `\n  wanted        ${wanted}: ${problem ?? 'see the log'}`
  const next =
    state === 'ENABLED'
      ? `ocps process AT_O_20261122_000017 --pipeline quicklook --wait`
      : state === 'STANDBY'
        ? 'ocps start && ocps enable'
        : 'ocps status'
  return `OCPS ${instance} is ${state}${go}
  server        ${service.shownUrl}, nats-server ${service.serverVersion}${service.token === null ? '' : ' (our own; ends with us)'}
  durability    ${service.promise}; survives: ${service.survives}
  configuration ${configDir}
  jobs' files   ${service.workDir}${inspector === null ? '' : `\n  inspector     ${inspector}${isTokenKnown ? ' (add ?token= and the token the first time)' : ''}`}
  try           ${next}${instance === 'LATISS' ? '' : `   (with --instance ${instance} or OCPS_INSTANCE)`}
  stop          Ctrl-C`
}

/** Where its page is to be; null: none is asked for. A mistake is said before anything is started. */
function inspectorOf({ inspectorToken: token, loaded }: ServeOptions): InspectorAddress | null {
  const { port, host, hostNames: names } = loaded.settings.inspector
  if (port !== null) return addressOf({ port: String(port), host, names, token }, OF_SERVE)
  const [about] = [
    ...['inspector.host', 'inspector.hostNames', 'inspector.allowCommands'].flatMap(key => {
      const origin = loaded.origins.get(key) ?? ''
      return origin.startsWith('--') ? [origin] : []
    }),
    ...(token === undefined ? [] : [OF_SERVE.token]),
  ]
  if (about !== undefined) throw new UserError(`${about} is about the page; add --inspector`)
  return null
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

/** On a terminal the log is what happens, one line each; the log lines of the process are among the events. */
async function showEvents(ocps: Ocps, out: Output): Promise<void> {
  for await (const event of ocps.events()) if (event.topic !== 'heartbeat') out.say(eventLine(event, out.paint), event)
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
