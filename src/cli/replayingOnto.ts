import { setTimeout as delay } from 'node:timers/promises'
import { ACK, type AckBody } from '../../machines/domain/announcements.ts'
import { type Command, sentAs } from '../../machines/domain/commands.ts'
import { createSend, type Send } from '../client/acknowledgements.ts'
import { OcpsError } from '../client/errors.ts'
import { defaultIdentity } from '../client/connecting.ts'
import { jobsNamedBy, wireForm } from '../replay/wireForm.ts'
import { createWorld } from '../engine/world.ts'
import { elapsedAt } from '../journal/entry.ts'
import { readRecording } from '../journal/recording.ts'
import { atServer, connect } from '../settings/connect.ts'
import { UserError } from '../userError.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { duration, table } from './format.ts'
import { createOutput } from './output.ts'
import { nameOf, readably } from './replaying.ts'
import type { ReplayOptions } from './replayOptions.ts'

/**
 * Sends the recorded commands to an instance that runs, in their order and at their pace or another one. Only what was
 * asked is sent: what pipelines did, they do anew. Jobs that commands name are translated to the ids they have there.
 */
export async function sendOnto(path: string, url: string, options: ReplayOptions): Promise<ExitCode> {
  const { instance, loaded, identity = defaultIdentity(), speed, onlyData = false, sameIds = false } = options
  const asked = (await commandsIn(path)).filter(({ command }) => !onlyData || !NOT_DATA.has(command.type))
  if (asked.length === 0)
    throw new UserError(`${path} holds no commands${onlyData ? ' about data' : ''}; nothing was sent`)
  const bus = await connect({ nats: atServer(loaded.settings.nats, url) }, `ocps-replay.${instance}`)
  try {
    const run = Date.now().toString(36)
    const send = createSend({ bus, instance, identity })
    const began = performance.now()
    const answered = await sendAll(asked, {
      send,
      speed,
      idOf: one => (sameIds ? one.command.caller.id : newId(run, one)),
    })
    const summary = summaryOf(answered, instance, Math.round(performance.now() - began))
    createOutput(options.json === true).say(inText(summary), { recording: path, ...summary })
    return summary.otherwise.length === 0 ? EXIT.DONE : EXIT.FAILED
  } finally {
    await bus.close()
  }
}

interface RecordedCommand {
  readonly n: number
  readonly at: number
  readonly command: Command
  /** How it was answered then: 'accepted' or the code it was refused with. */
  readonly answer: string
  readonly jobIds: readonly string[]
}

interface Answered {
  readonly asked: RecordedCommand
  readonly answer: string
  readonly reason: string
  readonly jobs: number
}

const NOT_DATA: ReadonlySet<string> = new Set<Command['type']>([
  'command.start',
  'command.reload',
  'command.enable',
  'command.disable',
  'command.standby',
  'command.exitControl',
  'command.setLogLevel',
])

// Commands that wait for their acknowledgement at the same time; an instance takes some thousand a second, and 10 000
// before it refuses.
const IN_FLIGHT_MAX = 256

// In synchronous mode a command takes as long as its pipeline; each acknowledgement extends this by what it promises.
const ANSWER_MS = 60_000

/** Folds the recording for how each command was answered: its jobs are named in the acknowledgement. */
async function commandsIn(path: string): Promise<RecordedCommand[]> {
  const { instance } = await nameOf(path, null)
  return readably(path, async () => {
    const world = createWorld({ instance })
    const all: RecordedCommand[] = []
    for await (const entry of readRecording(path)) {
      const effects = world.apply(entry)
      if (!isCommand(entry.what)) continue
      const command = entry.what
      const acks = effects.flatMap(effect =>
        effect.do === 'announce' &&
        effect.announcement.type === 'ack' &&
        effect.announcement.caller.id === command.caller.id
          ? [effect.announcement.body]
          : [],
      )
      all.push({ n: entry.n, at: elapsedAt(entry), command, answer: answerOf(acks[0]), jobIds: acks[0]?.jobIds ?? [] })
    }
    return all
  })
}

function isCommand(what: { readonly type: string }): what is Command {
  return what.type.startsWith('command.')
}

interface Sending {
  readonly send: Send
  readonly speed: number
  readonly idOf: (asked: RecordedCommand) => string
}

async function sendAll(asked: readonly RecordedCommand[], { send, speed, idOf }: Sending): Promise<Answered[]> {
  /** Recorded job id → its id there, known when the command that makes the job is acknowledged. */
  const ids = new Map<string, Promise<string>>()
  const flying = new Set<Promise<unknown>>()
  const answers: Promise<Answered>[] = []
  const began = performance.now()
  const first = asked[0]?.at ?? 0
  let failure: unknown = null

  for (const one of asked) {
    const wait = began + (one.at - first) / speed - performance.now()
    if (wait > 0) await delay(wait)
    while (flying.size >= IN_FLIGHT_MAX) await Promise.race(flying)
    const named = new Map<string, string>()
    for (const jobId of jobsNamedBy(one.command)) named.set(jobId, (await ids.get(jobId)) ?? jobId)
    if (failure !== null) throw failure
    const { name, body } = wireForm(one.command, jobId => named.get(jobId) ?? jobId)
    const acks = send(name, body, { id: idOf(one), timeoutMs: ANSWER_MS })
    const acknowledged = firstOf(acks)
    // One that never comes is the answer's to report; jobs keep their recorded ids then.
    for (const [index, jobId] of one.jobIds.entries())
      ids.set(
        jobId,
        acknowledged.then(
          ack => ack?.jobIds[index] ?? jobId,
          () => jobId,
        ),
      )
    const answer = answerTo(one, acks, acknowledged)
    answer.catch((error: unknown) => {
      failure = error
    })
    answers.push(answer)
    const landed = answer.then(noted, noted)
    flying.add(landed)
    function noted(): void {
      flying.delete(landed)
    }
  }
  return Promise.all(answers)
}

async function firstOf(acks: ReturnType<Send>): Promise<AckBody | undefined> {
  const { value } = await acks.next()
  return value ?? undefined
}

/** Resolves when the command is over, which in synchronous mode is when its processing is. */
async function answerTo(
  asked: RecordedCommand,
  acks: ReturnType<Send>,
  acknowledged: Promise<AckBody | undefined>,
): Promise<Answered> {
  let first: AckBody | undefined
  try {
    first = await acknowledged
    if (first?.ack === ACK.INPROGRESS) for await (const ack of acks) if (ack.ack !== ACK.INPROGRESS) break
  } catch (error) {
    if (!(error instanceof OcpsError) || error.kind !== 'TIMEOUT') throw error
    return { asked, answer: 'TIMEOUT', reason: error.message, jobs: first?.jobIds.length ?? 0 }
  }
  return { asked, answer: answerOf(first), reason: first?.result ?? '', jobs: first?.jobIds.length ?? 0 }
}

/** The first acknowledgement says whether a command was accepted, in either mode. */
function answerOf(ack: AckBody | undefined): string {
  if (ack === undefined) return 'none'
  return ack.ack < 0 ? (ack.code ?? String(ack.ack)) : 'accepted'
}

// The server keeps ids of up to 128 characters.
const ID_MAX = 128

/** Of its own for every run: under one that was used before nothing would be executed. */
function newId(run: string, { n, command }: RecordedCommand): string {
  const id = `replay-${run}-${command.caller.id}`
  return id.length <= ID_MAX ? id : `replay-${run}-${n}`
}

interface Summary {
  readonly instance: string
  readonly sent: number
  readonly accepted: number
  readonly jobs: number
  /** Refusal code → commands. */
  readonly refused: Readonly<Record<string, number>>
  /** Commands that were answered otherwise in the recording. */
  readonly otherwise: readonly {
    readonly n: number
    readonly command: string
    readonly recorded: string
    readonly now: string
    readonly reason: string
  }[]
  readonly elapsedMs: number
}

function summaryOf(answered: readonly Answered[], instance: string, elapsedMs: number): Summary {
  const refused: Record<string, number> = {}
  for (const { answer } of answered) if (answer !== 'accepted') refused[answer] = (refused[answer] ?? 0) + 1
  return {
    instance,
    sent: answered.length,
    accepted: answered.filter(({ answer }) => answer === 'accepted').length,
    jobs: answered.reduce((sum, { jobs }) => sum + jobs, 0),
    refused,
    otherwise: answered
      .filter(({ asked, answer }) => asked.answer !== answer)
      .map(({ asked, answer, reason }) => ({
        n: asked.n,
        command: sentAs(asked.command),
        recorded: asked.answer,
        now: answer,
        reason,
      })),
    elapsedMs,
  }
}

// A page, not a list; --json has them all.
const LISTED_MAX = 10

function inText({ instance, sent, accepted, jobs, refused, otherwise, elapsedMs }: Summary): string {
  const codes = Object.entries(refused).map(([code, count]) => `${count} ${code}`)
  const rows = [
    ['sent', `${sent} commands to ${instance} in ${duration(elapsedMs)}`],
    ['accepted', `${accepted}, with ${jobs} jobs`],
    ['refused', codes.join(', ') || 'none'],
    [
      'otherwise',
      otherwise.length === 0
        ? 'none: each was answered as in the recording'
        : `${otherwise.length} were answered otherwise than in the recording`,
    ],
  ]
  const lines = otherwise
    .slice(0, LISTED_MAX)
    .map(
      ({ n, command, recorded, now, reason }) => `  entry ${n}, ${command}: ${recorded} then, ${now} now (${reason})`,
    )
  return [table(rows), ...lines].join('\n')
}
