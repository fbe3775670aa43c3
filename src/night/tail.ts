/**
 * The journal of an instance as it grows, kept here as lines, and whether the instance is there. Reads only: no lease,
 * no entry, nothing asked of the engine but one question about its process. Goes on through restarts of OCPS and of its
 * server, and re-reads what it missed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Bus, Incoming } from '../bus/port.ts'
import { streams, subjects } from '../contract/subjects.ts'
import type { Entry } from '../journal/entry.ts'
import { toLine } from '../journal/lines.ts'
import { openJournal } from '../journal/log.ts'
import { entriesOf } from '../journal/messages.ts'
import { connect } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { createKeeping, type Kept } from './keeping.ts'

export interface Tail {
  /**
   * Oldest first; begins at entry 1, at a quiescent entry or at a checkpoint unless there was none for long. Entries
   * that only hold digests are left out.
   */
  readonly lines: readonly Kept[]
  /** Raised when what was read before is void: the beginning was dropped, or the journal is another one. */
  readonly generation: number
  readonly status: Status
  /** True once the journal has been read to its end. */
  readonly caughtUp: boolean
  close(): Promise<void>
}

export interface Status {
  readonly link: 'connected' | 'away'
  /** Why it is away, or ''. */
  readonly problem: string
  /** When the last heartbeat came, milliseconds since 1970 UTC of this machine; null: none yet. */
  readonly heartbeatAt: number | null
  readonly facts: Facts | null
}

/** What the process says about itself; null fields where an older one does not. */
export interface Facts {
  readonly promise: string | null
  readonly workDir: string | null
  readonly host: string | null
  readonly pid: number | null
  readonly ocps: string | null
}

export interface TailOptions {
  readonly instance: string
  /** Where the server is now; asked again after it went away, since an embedded one comes back elsewhere. */
  readonly nats: () => NatsSettings
}

// How long a server or a journal that is away is left alone between two looks.
const RETRY_MS = 500
// The process answers from memory.
const ASK_MS = 2_000

export function startTail({ instance, nats }: TailOptions): Tail {
  let kept = createKeeping(instance)
  let generation = 1
  let caughtUp = false
  let status: Status = { link: 'away', problem: 'not connected yet', heartbeatAt: null, facts: null }
  let bus: Bus | null = null
  const closing = new AbortController()
  const running = run()

  return {
    get lines() {
      return kept.lines
    },
    get generation() {
      return generation
    },
    get status() {
      return status
    },
    get caughtUp() {
      return caughtUp
    },
    async close() {
      closing.abort()
      await bus?.close().catch(() => {})
      await running
    },
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await follow(nats())
      } catch (error) {
        status = { ...status, link: 'away', problem: error instanceof Error ? error.message : String(error) }
      }
      await bus?.close().catch(() => {})
      bus = null
      await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => {})
    }
  }

  /** Returns when the server is gone, or has moved. */
  async function follow(from: NatsSettings): Promise<void> {
    const gone = new AbortController()
    const connected = await connect({ nats: from }, 'ocps-inspector')
    bus = connected
    if (closing.signal.aborted) return
    await mustHaveJournal(connected, instance)
    const to = subjects(instance)
    let waiting: string[] | null = []
    let heartbeatSeen = performance.now()
    const hear = (message: Incoming) => {
      const body = new TextDecoder().decode(message.body)
      // Anybody may publish on these subjects.
      if (entriesOf({ id: message.headers['nats-msg-id'] ?? '', body }) === null) return
      for (const line of body.split('\n')) {
        if (waiting) waiting.push(line)
        else if (kept.keep(line, false) === 'hole') return gone.abort()
      }
    }
    connected.subscribe(to.journal, hear)
    connected.subscribe(`${to.journal}.>`, hear)
    connected.subscribe(to.event('heartbeat'), () => {
      const isNew = status.heartbeatAt === null
      status = { ...status, heartbeatAt: Date.now() }
      heartbeatSeen = performance.now()
      if (isNew) void ask(connected)
    })
    const { journal, lastN: newest } = await openJournal({ bus: connected, instance })
    if (newest < kept.lastN) startAgain()
    const caught = kept.lastN > 0 && (await firstOf(journal.read('quiescent'))) <= kept.lastN + 1
    for await (const entry of journal.read(caught ? 'quiescent' : 'start')) kept.keep(toLine(entry))
    for (const line of waiting) kept.keep(line)
    waiting = null
    caughtUp = true
    status = { ...status, link: 'connected', problem: '' }
    void ask(connected)
    let wasThere = true
    connected.onStatus(now => {
      if (now === 'disconnected') wasThere = false
      // What was said in between was not heard: read again from the start of this function.
      else if (!wasThere) gone.abort()
      status = {
        ...status,
        link: now === 'connected' ? 'connected' : 'away',
        problem: now === 'connected' ? '' : 'the NATS server is away',
      }
    })
    while (!gone.signal.aborted && !closing.signal.aborted) {
      await delay(RETRY_MS, undefined, { signal: closing.signal }).catch(() => {})
      if (!wasThere && nats().servers[0] !== from.servers[0]) return
      if (status.heartbeatAt !== null && performance.now() - heartbeatSeen > HEARTBEAT_LOST_MS) {
        // What it said of itself stays: its files can be looked at without it. The next heartbeat asks again.
        status = { ...status, heartbeatAt: null }
      }
    }
  }

  function startAgain(): void {
    kept = createKeeping(instance)
    generation += 1
  }

  async function ask(connected: Bus): Promise<void> {
    try {
      const { body } = await connected.request(subjects(instance).query('state'), '{}', { timeoutMs: ASK_MS })
      const answer = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>
      const text = (name: string) => (typeof answer[name] === 'string' ? answer[name] : null)
      const versions = answer['versions'] as { ocps?: string } | undefined
      status = {
        ...status,
        facts: {
          promise: text('promise'),
          workDir: text('workDir'),
          host: text('host'),
          pid: typeof answer['pid'] === 'number' ? answer['pid'] : null,
          ocps: versions?.ocps ?? null,
        },
      }
    } catch {
      // Nobody is there to answer; the next heartbeat asks again.
    }
  }
}

/** The lines that follow entry n, at most `most`. */
export function after({ lines }: Pick<Tail, 'lines'>, n: number, most: number): readonly Kept[] {
  let low = 0
  let high = lines.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((lines[middle]?.n ?? 0) <= n) low = middle + 1
    else high = middle
  }
  return lines.slice(low, low + most)
}

// Three of its periods; OCPS's own rule for "gone".
const HEARTBEAT_LOST_MS = 3_000

/** Throws while there is none: opening one that does not exist would create it. */
export async function mustHaveJournal(bus: Bus, instance: string): Promise<void> {
  const { body } = await bus.request(`$JS.API.STREAM.INFO.${streams(instance).journal}`, '', { timeoutMs: ASK_MS })
  const { error } = JSON.parse(new TextDecoder().decode(body)) as { error?: { description?: string } }
  if (error)
    throw new Error(
      `there is no journal of an instance ${instance} at ${bus.server.url} (${error.description ?? 'no reason given'})`,
    )
}

async function firstOf(entries: AsyncIterable<Entry>): Promise<number> {
  for await (const { n } of entries) return n
  return 0
}
