import type { Bus, Retained } from '../../src/bus/port.ts'
import { executeDoor } from '../../src/doors/execute.ts'
import { natsDoor } from '../../src/doors/nats.ts'
import { createDesk, type Desk, Listeners } from '../../src/engine/desk.ts'
import type { Numbered } from '../../src/engine/engine.ts'
import { chooseParts, openDoors } from '../../src/instance/compose.ts'
import { silentLog, type Log } from '../../src/log.ts'
import type { Door } from '../../src/parts.ts'
import { lastEvent } from '../../src/sinks/nats/lastEvent.ts'
import type { Night } from '../night.ts'

/* The doors on NATS over a front desk of an instance in memory, opened as an instance opens them. */

export interface DeskOfNight {
  readonly retained: Pick<Retained, 'last'>
  readonly say: (said: Numbered) => void
  readonly log?: Log
  readonly facts?: () => Readonly<Record<string, unknown>>
}

export function deskOf(night: Night, { retained, say, log = silentLog, facts = () => ({}) }: DeskOfNight): Desk {
  return createDesk({
    instance: 'LATISS',
    engine: night.engine(),
    say,
    listeners: new Listeners(),
    now: () => night.clock.now(),
    log,
    facts,
    history: () => ({ jobs: [], total: 0 }),
    lastEvent: lastEvent(retained, 'LATISS'),
  })
}

export async function openDoorsOf(
  night: Night,
  bus: Bus,
  options: DeskOfNight,
  doors = ['nats', 'execute'],
): Promise<Door> {
  const opened: Door[] = []
  const parts = {
    doors: [natsDoor, executeDoor].filter(({ name }) => doors.includes(name)),
    locators: [],
    executors: [],
    sinks: [],
  }
  const { log = silentLog } = options
  await openDoors(
    chooseParts(parts, {}).doors,
    { instance: 'LATISS', bus, desk: deskOf(night, options), log },
    door => void opened.push(door),
  )
  return {
    async close() {
      for (const door of opened) await door.close()
    },
  }
}
