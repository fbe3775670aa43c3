import { Writable } from 'node:stream'
import type { ConfigurationsAvailable, PipelineFiles } from '../../machines/domain/commands.ts'
import type { CscContext } from '../../machines/csc.ts'
import type { Bus } from '../bus/port.ts'
import { subjects } from '../contract/subjects.ts'
import type { Clock } from '../engine/clock.ts'
import type { Observe } from '../observer.ts'
import type { Engine } from '../engine/engine.ts'

/** What is looked at of the configuration's files; config/load.ts has it. */
export interface ConfigurationWatched {
  available(): ConfigurationsAvailable
  pipelineFiles(): PipelineFiles
  relevant(configurations: string): string
  relevantWhenLoaded(configurations: string): string | null
}

/**
 * What a CSC says without being asked and without its journal: the heartbeat, log messages as events, and a look at the
 * configuration's files once a second: in STANDBY at all of them (salobj), later at those that are applied and at the
 * pipelines. None of it waits for work.
 */
export interface Presence {
  /** pino writes here; lines at or above the CSC's log level become events logMessage. */
  readonly logStream: Writable
  begin(parts: PresenceParts): () => void
}

export interface PresenceParts {
  readonly heartbeats: Pick<Bus, 'publish'>
  readonly lines: Pick<Bus, 'publish'>
  readonly engine: Pick<Engine, 'world' | 'input'>
  readonly source: ConfigurationWatched
  readonly observe?: Observe | undefined
}

// salobj base_csc.py HEARTBEAT_INTERVAL.
const HEARTBEAT_MS = 1_000
// What was logged before the bus was there; salobj keeps as many.
const EARLY_MAX = 10

export function createPresence({ instance, clock }: { instance: string; clock: Clock }): Presence {
  const to = subjects(instance)
  let early: string[] = []
  let publish = (line: string): void => {
    early = [...early, line].slice(-EARLY_MAX)
  }
  const logStream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      publish(chunk.toString())
      done()
    },
  })
  return {
    logStream,
    begin({ heartbeats, lines, engine, source, observe }) {
      const context = () => engine.world.actor('csc')?.snapshot.context as CscContext
      publish = line => {
        const message = logMessage(line, instance)
        if (message.level >= context().logLevel) lines.publish(to.event('logMessage'), JSON.stringify(message))
      }
      for (const line of early) publish(line)
      /** What was seen, and in view of which applied files; null: of all. */
      let seen: { readonly of: string | null; readonly version: string } | null = null
      let next = clock.elapsed()
      let unwake = () => {}
      const beat = () => {
        heartbeats.publish(
          to.event('heartbeat'),
          JSON.stringify({ heartbeat: true, at: clock.now(), pid: process.pid }),
        )
        // From the last due moment, not from now, so that delays do not add up; but what a frozen process missed is not
        // made up for.
        const now = clock.elapsed()
        observe?.('heartbeatLateMs', now - next)
        next = next + HEARTBEAT_MS > now ? next + HEARTBEAT_MS : now + HEARTBEAT_MS
        unwake = clock.wake(next, beat)
        look()
      }
      const look = () => {
        const { applied, available: told } = context()
        const state = engine.world.actor('csc')?.snapshot.value
        if (state === 'offline') return
        const of = state === 'standby' || applied === null ? null : applied.configurations
        const present = source.available()
        const version = of === null ? JSON.stringify(present) : source.relevant(of)
        // With the first look at other files it counts what they were when they were read.
        const before =
          seen?.of === of
            ? seen.version
            : ((of === null ? JSON.stringify(told) : source.relevantWhenLoaded(of)) ?? version)
        seen = { of, version }
        if (version === before) return
        engine.input(
          { type: 'engine.configurationsAvailable', available: present, pipelineFiles: source.pipelineFiles() },
          'engine',
        )
      }
      beat()
      return () => {
        publish = () => {}
        unwake()
      }
    },
  }
}

/** pino counts trace 10, debug 20, info 30, warn 40, error 50, fatal 60; Python is one step lower. */
function logMessage(line: string, name: string) {
  const { level = 30, time, msg = '', ...rest } = JSON.parse(line) as { level?: number; time?: string; msg?: string }
  const facts = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : ''
  return {
    name,
    level: Math.max(10, level - 10),
    message: `${msg}${facts}`,
    traceback: '',
    filePath: '',
    functionName: '',
    lineNumber: 0,
    process: process.pid,
    timestamp: (time === undefined ? Date.now() : Date.parse(time)) / 1000,
  }
}
