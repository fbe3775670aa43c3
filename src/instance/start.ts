import { join, resolve } from 'node:path'
import pino from 'pino'
import type { SummaryState } from '../../machines/domain/summaryState.ts'
import { startEmbeddedServer } from '../bus/embedded.ts'
import { sharedCache } from '../bus/server-binary.ts'
import { shownUrl } from '../bus/serverUrl.ts'
import { INSTANCE_PATTERN } from '../contract/subjects.ts'
import { wallClock } from '../engine/clock.ts'
import { connect, justUrl } from '../settings/connect.ts'
import { UserError } from '../userError.ts'
import { listen } from '../http/listener.ts'
import { createMetrics } from '../http/metrics.ts'
import { both, Health, routesOf } from './health.ts'
import { chooseParts, type ChosenParts, PARTS } from './compose.ts'
import { Ending } from './ending.ts'
import { createPresence, type Presence } from './presence.ts'
import { type Link, putTogether, type Surroundings } from './putTogether.ts'
import { countReconnects } from './reconnects.ts'
import { checkServer, promiseOf } from './serverPromise.ts'
import type { Service, ServiceOptions } from './service.ts'
import { NotNow, takeLease, untilNow, willPass } from './standby.ts'

/**
 * Starts one instance of OCPS: finds its server, becomes the active process under its name, and has it put together;
 * whatever happens, everything is taken apart again. Everything that can be wrong with what it was given is a UserError
 * with a sentence.
 */
export type { Service, ServiceOptions }

const INITIAL_STATES: readonly SummaryState[] = ['OFFLINE', 'STANDBY', 'DISABLED', 'ENABLED']

export async function startService(options: ServiceOptions): Promise<Service> {
  check(options)
  const chosen = chooseParts(options.parts ?? PARTS, options.partSettings ?? {})
  return await untilNow(isTakeover => begin(options, chosen, isTakeover))
}

function check({ instance, initialState, standby, natsUrl }: ServiceOptions): void {
  if (!INSTANCE_PATTERN.test(instance))
    throw new UserError(`the instance name ${JSON.stringify(instance)} must be 1 to 32 letters, digits, _ or -`)
  // From a command line anything may come; FAULT is a state nobody can ask for (salobj base_csc.py).
  if (!INITIAL_STATES.includes(initialState))
    throw new UserError(`the initial state ${JSON.stringify(initialState)} must be one of ${INITIAL_STATES.join(', ')}`)
  if (standby === true && natsUrl === null)
    throw new UserError('to stand by for another process, both need one server: name it with --url or NATS_URL')
}

async function begin(options: ServiceOptions, chosen: ChosenParts, wasTakeover: boolean): Promise<Service> {
  const { instance } = options
  const dataDir = resolve(options.dataDir)
  const presence = createPresence({ instance, clock: wallClock })
  const log = logTo(presence, options.logTo)
  const ending = new Ending(instance, log)
  const [workDir, cacheDir] = [join(dataDir, 'work'), join(dataDir, 'cache')]
  try {
    const health = new Health()
    const metrics = options.http === undefined ? null : createMetrics(instance)
    const listener = metrics && options.http ? await listen(options.http, routesOf(health, metrics)) : null
    if (listener) ending.undo(() => listener.close())
    const observed = { ...options, observe: metrics ? both(options.observe, metrics.observe) : options.observe }
    const around = { options: observed, chosen, ending, log, presence, workDir, cacheDir, health, metrics }
    const link = await reachServer(around, dataDir)
    const { standby = false, onWaiting = () => {} } = options
    const onLost = () => ending.lose('lost', 'another process runs this instance now')
    const taken = await takeLease(link.bus, { instance, standby, onWaiting, onLost, log })
    ending.undo(() => taken.lease.release())
    const isTakeover = taken.isTakeover || wasTakeover
    await putTogether(around, link, taken.lease, isTakeover).catch((error: unknown) => {
      const problem = ending.lost ?? error
      if (!standby || !willPass(problem)) throw problem
      log.warn({}, `OCPS ${instance} stands by again: ${problem.message}`)
      throw new NotNow(problem.message, isTakeover)
    })
    return {
      instance,
      natsUrl: link.natsUrl,
      nats: link.nats,
      shownUrl: shownUrl(link.natsUrl),
      token: link.server?.token ?? null,
      ...link.promised(),
      workDir,
      httpPort: listener?.port ?? null,
      ended: ending.ended,
      stop: (why = 'it was asked to') => ending.stop(why),
    }
  } catch (error) {
    await ending.takeApart()
    throw error
  }
}

function logTo(presence: Presence, stream: pino.DestinationStream | null): pino.Logger {
  return pino(
    { level: 'debug', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.multistream([
      { level: 'debug', stream: presence.logStream },
      ...(stream === null ? [] : [{ level: 'info' as const, stream }]),
    ]),
  )
}

/**
 * A server of our own or the one that is named, with a connection for what must be said and one for what may be lost.
 */
async function reachServer({ options, ending, log, cacheDir }: Surroundings, dataDir: string): Promise<Link> {
  const { instance, survives, observe } = options
  const server =
    options.natsUrl === null
      ? await startEmbeddedServer({
          storeDir: join(dataDir, 'nats'),
          cacheDir: await sharedCache(cacheDir),
          log,
          ...(survives !== undefined && { survives }),
        })
      : null
  if (server) ending.undo(() => server.stop())
  const natsUrl = server?.url ?? options.natsUrl ?? ''
  const nats = (server === null ? options.nats : undefined) ?? justUrl(natsUrl)
  const open = async (role: string) => {
    const bus = await connect({ nats }, role, { log, waitForServer: options.standby === true })
    ending.undo(() => bus.close())
    return bus
  }
  const bus = await open(`ocps.${instance}`)
  if (observe) countReconnects(bus, observe)
  const telemetry = await open(`ocps.${instance}.telemetry`)
  const stated = survives ?? null
  checkServer(bus.server, { stated, allowOld: options.allowOldServer === true, log })
  return { server, natsUrl, nats, bus, telemetry, promised: () => promiseOf(server, bus.server, stated) }
}
