import { ACK, type AckBody, type GroupResult, type GroupState } from '../../machines/domain/announcements.ts'
import { REFUSALS } from '../../machines/domain/refusals.ts'
import { CommandRefused, OcpsError } from './errors.ts'
import { groupKey, type Reported } from './hearing.ts'
import { deferred, type Following } from './jobs.ts'
import { createStream } from './stream.ts'

/**
 * A group from the command that closes it to what became of it. How members are awaited and combined is the instance's.
 */
export interface Group {
  readonly group: string
  /** 303, or in synchronous mode 301. */
  readonly acknowledged: AckBody
  /** Its states while they come; ends with the result. Of those not taken the newest 1 000 wait. */
  readonly states: AsyncIterable<GroupState>
  /**
   * What became of this closing. Resolves whatever the outcome; rejects with CommandRefused, OcpsError CLOSED or
   * UNKNOWN.
   */
  readonly result: Promise<GroupResult>
}

const STATES_WAITING_MAX = 1_000
const OVER = ['gathered', 'abandoned', 'finished']

interface GroupAnswer {
  readonly state: string
  readonly result: GroupResult | null
}

/** Follows the group whose closing `acknowledgements` are. */
export async function followGroup(
  command: string,
  group: string,
  acknowledgements: AsyncGenerator<AckBody, void>,
  { hearing, rechecks, ask, closing }: Following,
): Promise<Group> {
  const begun = hearing.begin()
  let acknowledged: AckBody
  try {
    const first = await acknowledgements.next()
    if (first.done) throw new OcpsError('BAD_ANSWER', 'the command ended without an acknowledgement')
    acknowledged = first.value
    if (acknowledged.ack < 0) throw new CommandRefused(command, acknowledged)
  } catch (error) {
    begun.cancel()
    throw error
  }
  const states = createStream<GroupState>({ waitingMax: STATES_WAITING_MAX })
  const waiting = deferred<GroupResult>()
  const forget = closing.add(waiting.reject)
  const uncheck = rechecks.add(async () => {
    const { state, result } = await ask<GroupAnswer>('group', { group })
    if (result && OVER.includes(state)) waiting.resolve(result)
  }, waiting.reject)
  const unfollow = begun.follow([groupKey(group)], hear)
  const end = () => {
    forget()
    uncheck()
    unfollow()
    states.end()
  }
  waiting.promise.then(end, end)
  if (acknowledged.ack === ACK.INPROGRESS) void rest()
  return { group, acknowledged, states, result: waiting.promise }

  function hear(heard: Reported): void {
    if (heard.of === 'groupState') states.push(heard.body)
    if (heard.of === 'groupResult') waiting.resolve(heard.body)
  }

  /** In synchronous mode a group can still refuse after the promise; then no result will come. */
  async function rest(): Promise<void> {
    try {
      for await (const ack of acknowledgements)
        if (ack.ack < 0 && ack.code !== null && Object.hasOwn(REFUSALS, ack.code))
          waiting.reject(new CommandRefused(command, ack))
    } catch {
      // The result comes as an event, or is asked for.
    }
  }
}
