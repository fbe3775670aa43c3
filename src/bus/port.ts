/**
 * The wire as the rest of OCPS knows it: subjects, bodies, headers. Two adapters keep one contract test: nats.ts (the
 * only file that imports the NATS client) and memory.ts. Nothing here decides anything; what a subject means is written
 * in contract/subjects.ts.
 */
export interface Bus {
  /** What the server is and promises; shown by `ocps status`. */
  readonly server: ServerFacts

  /**
   * Hears every message on a subject (`*` one token, `>` the rest). The handler must not throw; it is called in order.
   */
  subscribe(subject: string, handler: (message: Incoming) => void): Subscription

  /** Fire and forget: lost while disconnected, never waits. For replies, telemetry and heartbeats. */
  publish(subject: string, body: string, headers?: Headers): void

  /** One answer. Rejects with BusError NO_RESPONDERS at once, or TIMEOUT. */
  request(subject: string, body: string, options: RequestOptions): Promise<Incoming>

  /**
   * Many answers to one question, in order, until `last` says so of one or the time is up (BusError TIMEOUT, thrown
   * from the iterator).
   */
  requestMany(
    subject: string,
    body: string,
    options: RequestOptions & { last: (answer: Incoming) => boolean },
  ): AsyncIterable<Incoming>

  /**
   * A stream that keeps the last message of every subject under `subjects`, for late joiners. Created or brought up to
   * date.
   */
  retained(options: RetainedOptions): Promise<Retained>

  /** A stream that keeps everything, written by one writer only. Created or brought up to date. */
  log(options: LogOptions): Promise<Log>

  /** A lease: who holds the name now. Expires by itself when its holder goes away. */
  lease(options: LeaseOptions): Promise<LeaseResult>

  /** Called with every change; called at once with the present state. */
  onStatus(handler: (status: 'connected' | 'disconnected') => void): void

  /** Sends what is waiting, then closes. Further calls throw BusError CLOSED. */
  close(): Promise<void>
}

export interface ServerFacts {
  readonly url: string
  readonly version: string
  /**
   * Bytes; a message whose body and headers are larger is refused by `publish` and `request` with BusError TOO_LARGE.
   */
  readonly maxPayload: number
  /** Nobody reaches it from another machine, as far as it says itself. */
  readonly isLoopbackOnly: boolean
}

/** Header names are compared without regard to case; values are ASCII without CR and LF. */
export type Headers = Readonly<Record<string, string>>

export interface Incoming {
  readonly subject: string
  readonly body: Uint8Array
  /** Names in lower case. */
  readonly headers: Headers
  /** Where an answer goes; null if none is expected. */
  readonly reply: string | null
}

export interface Subscription {
  /** No handler call happens after the promise resolves. */
  stop(): Promise<void>
}

export interface RequestOptions {
  readonly timeoutMs: number
  readonly headers?: Headers
}

export interface RetainedOptions {
  readonly name: string
  readonly subjects: readonly string[]
  /** Messages older than this are forgotten, milliseconds. */
  readonly maxAgeMs: number
}

export interface Retained {
  /**
   * Publishes so that it is kept and seen live. Order is kept; while the server is away messages wait here and are sent
   * again with the same id, which the server drops if it has it already. Never waits, never throws. `id` is unique per
   * message.
   */
  publish(message: { subject: string; body: string; id: string }): void
  /** Resolves when everything published so far is stored. */
  flushed(): Promise<void>
  /** The last message of a subject, or null. */
  last(subject: string): Promise<string | null>
  /**
   * The newest id that is accepted, or null: where a restarted publisher goes on. Anybody may publish on the same
   * subjects, with any id.
   */
  lastId(accepts?: (id: string) => boolean): Promise<string | null>
}

export interface LogOptions {
  readonly name: string
  readonly subject: string
  /**
   * Whether a writer of this log wrote the message. Anybody may publish on its subjects; what others left there neither
   * fences a writer off nor is taken for the newest message. Default: whatever has an id.
   */
  readonly isWritten?: (message: LogMessage) => boolean
  /** How long the server remembers ids, milliseconds; ten minutes unless a test shortens it. */
  readonly duplicateWindowMs?: number
}

export interface LogMessage {
  readonly body: string
  /** '' for a message that was published without one. */
  readonly id: string
  /** Its place in the stream. Places are never used twice; one that is missing was lost, or removed. */
  readonly sequence: number
}

export interface LogState {
  /** Place of the oldest message, and of the newest ever stored, whether or not it can still be read. */
  readonly first: number
  readonly last: number
  /** Place of the newest message that can be read; 0: none can. */
  readonly lastReadable: number
  readonly messages: number
}

export interface Log {
  /**
   * Appends one message behind `after`, the id of the newest written one ('' for the very first). Resolves once stored;
   * the newest one again resolves without storing it twice. Rejects with BusError FENCED when another writer has
   * appended in between, with FULL when the server refuses for want of space (nothing was written), and with BROKEN
   * when the stream is gone or has lost what was confirmed. Retries by itself while the server is away.
   */
  append(message: { body: string; id: string; after: string; isMark?: boolean }): Promise<void>
  /**
   * All that can be read, oldest first, up to what was there at the call, foreign messages included: from the start, or
   * from the newest message that a writer appended as a mark, with so many written messages before it.
   */
  read(from?: 'start' | 'mark', before?: number): AsyncIterable<LogMessage>
  /** The newest message a writer appended; null where there is none. */
  last(): Promise<LogMessage | null>
  state(): Promise<LogState>
  /**
   * Whether what is appended behind messages that cannot be read any more is kept. A server that does not heals itself
   * when it is started again.
   */
  keepsBehindLost(): boolean
  /** Removes every message. Places go on, so a writer from before stays fenced off. */
  purge(): Promise<void>
}

export interface LeaseOptions {
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
  /**
   * Called once when someone else has it although it was not released. A server that is away gives it to nobody: it is
   * taken anew when it is back.
   */
  readonly onLost: () => void
}

export type LeaseResult =
  | {
      readonly held: true
      /**
       * Whether nobody else can have it: it was renewed less than `ttlMs` ago by our own clock, which goes on while the
       * process is frozen.
       */
      isSure(): boolean
      /** How often it had run out and was taken anew: in between someone else may have had it, and given it back. */
      lapses(): number
      release(): Promise<void>
    }
  /** Someone else has it: `holder` is what they called themselves. */
  | { readonly held: false; readonly holder: string }

export type BusErrorCode =
  | 'NO_RESPONDERS'
  | 'TIMEOUT'
  | 'TOO_LARGE'
  | 'FENCED'
  | 'FULL'
  | 'BROKEN'
  | 'CLOSED'
  | 'BAD_SUBJECT'
  | 'BAD_HEADER'
  | 'UNREACHABLE'
  | 'UNSUPPORTED'

export class BusError extends Error {
  readonly code: BusErrorCode
  constructor(code: BusErrorCode, message: string) {
    super(message)
    this.name = 'BusError'
    this.code = code
  }
}
