import type pino from 'pino'
import type { SummaryState } from '../../machines/domain/summaryState.ts'
import type { Survives } from '../bus/embedded.ts'
import type { HttpAddress } from '../http/listener.ts'
import type { Observe } from '../observer.ts'
import type { NatsSettings } from '../settings/schema.ts'
import type { Parts, PartSettings } from './compose.ts'
import type { Ended } from './ending.ts'

/** What an instance is started with. */
export interface ServiceOptions {
  /** The name on the wire, e.g. LATISS. */
  readonly instance: string
  /** An existing server; null starts one of our own on loopback. */
  readonly natsUrl: string | null
  /**
   * How that one is reached where a URL is not enough: keys, certificates, further servers. Its first server is
   * natsUrl.
   */
  readonly nats?: NatsSettings
  readonly configDir: string
  /** LSST_SITE; '' for none. */
  readonly site: string
  /** Holds the store of an embedded server, the jobs' directories and the compiled launcher. */
  readonly dataDir: string
  /** The state to go to by itself after start, and the override for it. */
  readonly initialState: Exclude<SummaryState, 'FAULT'>
  readonly configurationOverride: string
  readonly simulate: boolean
  /** Where log lines go (logFile.ts), or null for nowhere. Events logMessage are said in any case. */
  readonly logTo: pino.DestinationStream | null
  /**
   * Waits until nobody else is active under this name, for as long as it takes. Needs natsUrl, and the dataDir of the
   * active one to take up its jobs.
   */
  readonly standby?: boolean
  /**
   * What an accepted command is to survive; of a server that is named: what that one is configured for. Unless given,
   * power where our own server can.
   */
  readonly survives?: Survives
  /** Use a server older than 2.10 although other machines reach it. */
  readonly allowOldServer?: boolean
  /** How long events are kept. */
  readonly eventsDays?: number
  /** Called with who is active, while waiting, whenever that changes. */
  readonly onWaiting?: (active: string) => void
  /** Told what can be counted and timed. */
  readonly observe?: Observe | undefined
  /** Where health and metrics are asked for over HTTP; left out: nowhere. */
  readonly http?: HttpAddress | undefined
  /** Settings of parts, by kind and name. */
  readonly partSettings?: PartSettings
  /** Other parts than compose.ts lists. */
  readonly parts?: Parts
}

export interface Service {
  readonly instance: string
  /**
   * To connect to, credentials included: never shown, logged, written down or given to another process but in its
   * environment.
   */
  readonly natsUrl: string
  /** The same with all that it takes to connect: keys, certificates, further servers. */
  readonly nats: NatsSettings
  /** The same for people. */
  readonly shownUrl: string
  /** Of a server of our own: what whoever connects must say. */
  readonly token: string | null
  readonly promise: string
  readonly survives: Survives
  readonly serverVersion: string
  readonly workDir: string
  /** Where health and metrics are asked for; null: nowhere. */
  readonly httpPort: number | null
  readonly ended: Promise<Ended>
  /** Why it is asked to stop goes into the log. */
  stop(why?: string): Promise<void>
}
