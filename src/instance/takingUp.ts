import type { Bus, Retained } from '../bus/port.ts'
import { highestJobIn } from '../executor/directory.ts'
import { AHEAD_MAX, readLastSaid } from '../sinks/nats/feed.ts'
import { ENTRIES_PER_MESSAGE_MAX, openJournal } from '../journal/log.ts'
import type { Journal } from '../journal/port.ts'
import { cannotGoOn } from '../journal/survey.ts'
import type { Log } from '../log.ts'
import type { Observe } from '../observer.ts'

/**
 * Where an instance goes on: at the end of its journal, unless entries are known from elsewhere that the journal does
 * not hold (an older copy was put back, or its end was lost). Job ids are made of entry numbers, so it goes on behind
 * all that are known.
 */
interface TakenUp {
  readonly journal: Journal
  readonly lastN: number
  readonly isOurs: () => Promise<boolean>
  /** As in EngineOptions; 0: the journal holds all that is known. */
  readonly numbersAfter: number
}

// A stranger's message may have any id.
const ID_SHOWN_MAX = 128
// What was accepted last may not be among the events; a second of full load.
const NUMBERS_UNSEEN = 10_000

/** Throws JournalError END_LOST where what is written next would be lost. */
export async function takeUpJournal(from: {
  bus: Bus
  instance: string
  retained: Retained
  workDir: string
  log: Log
  observe?: Observe | undefined
}): Promise<TakenUp> {
  const { bus, instance, retained, workDir, log, observe } = from
  let foreignSeen = 0
  const opened = await openJournal({
    bus,
    instance,
    onForeign: (count, { sequence, id }) => {
      observe?.('foreignMessages', count - foreignSeen)
      foreignSeen = count
      log.warn(
        { count, sequence, id: id.slice(0, ID_SHOWN_MAX) },
        `the journal of ${instance} holds ${count} ${count === 1 ? 'message' : 'messages'} that no journal wrote; passed over`,
      )
    },
  })
  const { journal, log: stored, name, lastN, lostMessages, isOurs } = opened
  if (lostMessages > 0 && !stored.keepsBehindLost()) throw cannotGoOn({ name, lastN, lostMessages })
  const { numbersAfter: inEvents } = await readLastSaid(retained, instance, lastN)
  const inWorkDir = await highestJobIn(workDir)
  const known = Math.max(lastN, inEvents, inWorkDir < lastN + AHEAD_MAX ? inWorkDir : 0)
  if (known === lastN && lostMessages === 0) return { journal, lastN, isOurs, numbersAfter: 0 }
  sayBehind(log, { name, lastN, known, lostMessages })
  const numbersAfter = known + NUMBERS_UNSEEN + lostMessages * ENTRIES_PER_MESSAGE_MAX
  return { journal, lastN, isOurs, numbersAfter }
}

/** Accepted work may be missing. Going on from what is left is better than a night without OCPS. */
function sayBehind(log: Log, found: { name: string; lastN: number; known: number; lostMessages: number }): void {
  const { name, lastN, known, lostMessages } = found
  const [code, why] =
    lostMessages > 0
      ? ['JOURNAL_END_LOST', `its last ${lostMessages} messages cannot be read`]
      : [
          'JOURNAL_BEHIND',
          `entry ${known} is known from events or jobs' directories: it is another or an older copy, or its end was lost`,
        ]
  log.error(
    { ...found, code },
    `${name} ends with entry ${lastN}, and ${why}. OCPS goes on from there and gives no job id out again; ` +
      'send again what was accepted since and is missing. "ocps journal check" shows what is there.',
  )
}
