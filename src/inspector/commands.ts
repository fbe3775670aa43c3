/**
 * What an operator sends from the page, on its way to the instance: checked against the contract, sent as
 * `NAME@inspector`, so that the journal says where it came from. Exists only where the inspector was told to allow
 * commands. Whether a command is allowed now is decided by the instance, as for everybody.
 */
import { ACK } from '../../machines/domain/announcements.ts'
import { createSend, fromBus } from '../client/acknowledgements.ts'
import { CommandRefused } from '../client/errors.ts'
import { decodeCommand } from '../contract/decode.ts'
import { connect } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'

/** The commands of the page. Others are refused: what is to be processed is said by observing scripts. */
export const PAGE_COMMANDS = [
  'start',
  'reload',
  'enable',
  'disable',
  'standby',
  'exitControl',
  'pause',
  'resume',
  'abortJob',
  'closeGroup',
  'retry',
] as const

export type PageCommand = (typeof PAGE_COMMANDS)[number]

/** As the page posts it. */
export interface PageRequest {
  /** Whoever sits there, as typed; '' stays unnamed. Nobody checks that it is true. */
  readonly who: string
  /** The message id: the same command under the same id is executed once. */
  readonly id: string
  readonly body: object
}

export interface Answered {
  readonly isAccepted: boolean
  /** One sentence. */
  readonly text: string
  /** Jobs that it made. */
  readonly jobIds: readonly string[]
}

export interface Commands {
  /** Never rejects. `code` is the HTTP status: 200 for whatever the instance answered, also if it refused. */
  execute(name: string, request: string): Promise<{ readonly code: number; readonly answer: Answered }>
}

// People press buttons; more than these at once is a program gone wild.
const AT_ONCE_MAX = 8
// An instance acknowledges in milliseconds. After this the page is told that nothing is known, and may send the same
// again.
const ANSWER_MS = 10_000
// With them a command is executed once: a name as in a header, and an id of the page's making.
const WHO = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/
const ID = /^[A-Za-z0-9_-]{1,64}$/

export function createCommands({ instance, nats }: { instance: string; nats: () => NatsSettings }): Commands {
  let going = 0
  return {
    async execute(name, request) {
      const asked = read(name, request, instance)
      if (typeof asked === 'string') return { code: 400, answer: refused(asked) }
      if (going >= AT_ONCE_MAX)
        return { code: 503, answer: refused(`${AT_ONCE_MAX} commands are on their way already; try again shortly.`) }
      going += 1
      try {
        return { code: 200, answer: await send(name, asked) }
      } catch (error) {
        return { code: 200, answer: refused(sentence(error)) }
      } finally {
        going -= 1
      }
    },
  }

  /** A connection for each: they are rare, and each is sent in the name of whoever pressed the button. */
  async function send(name: string, { who, id, body }: PageRequest): Promise<Answered> {
    const identity = who === '' ? 'inspector' : `${who}@inspector`
    const bus = await connect({ nats: nats() }, 'ocps-inspector-command')
    try {
      // The first acknowledgement says whether it was accepted, in either mode; what becomes of it is in the journal.
      for await (const ack of createSend({ bus, instance, identity })(name, body, { id, timeoutMs: ANSWER_MS })) {
        if (ack.ack < 0) throw new CommandRefused(name, ack)
        const { jobIds } = ack
        const now = ack.ack === ACK.INPROGRESS ? 'is accepted and in progress' : 'is done'
        const made =
          jobIds.length === 0 ? '' : `: ${jobIds.length === 1 ? 'job' : `${jobIds.length} jobs,`} ${few(jobIds)}`
        return { isAccepted: true, text: `${name} ${now}${made}.`, jobIds }
      }
      return refused(`${name} ended without an acknowledgement.`)
    } finally {
      await bus.close()
    }
  }
}

/** What was asked, or the sentence that says what is wrong with it. */
function read(name: string, request: string, instance: string): PageRequest | string {
  if (!PAGE_COMMANDS.some(one => one === name))
    return `The inspector sends no ${JSON.stringify(name.slice(0, 64))}; it sends ${PAGE_COMMANDS.join(', ')}.`
  let given: unknown
  try {
    given = JSON.parse(request)
  } catch {
    return 'The command is not JSON.'
  }
  if (typeof given !== 'object' || given === null) return 'The command is not an object with who, id and body.'
  const { who, id, body, ...others } = given as Record<string, unknown>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return `${unknown.slice(0, 64)}: unknown field.`
  if (typeof who !== 'string' || (who !== '' && !WHO.test(who)))
    return 'Who: a name is 1 to 32 letters, digits, dots, _ or -, or nothing.'
  if (typeof id !== 'string' || !ID.test(id)) return 'Id: a message id is 1 to 64 letters, digits, _ or -.'
  if (typeof body !== 'object' || body === null) return `${name}: the body is not an object.`
  const checked = decodeCommand(name, new TextEncoder().encode(JSON.stringify(body)), instance)
  return checked.ok ? { who, id, body } : full(checked.refusal.reason)
}

function refused(text: string): Answered {
  return { isAccepted: false, text, jobIds: [] }
}

function sentence(error: unknown): string {
  const known = fromBus(error)
  return full(known instanceof Error ? known.message : String(known))
}

function full(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

const NAMED_MAX = 4

function few(ids: readonly string[]): string {
  return ids.slice(0, NAMED_MAX).join(', ') + (ids.length > NAMED_MAX ? ` and ${ids.length - NAMED_MAX} more` : '')
}
