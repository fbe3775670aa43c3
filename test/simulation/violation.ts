/**
 * A promise that was broken: which one, and the evidence. The first one of a night counts; what follows may only follow
 * from it.
 */
export interface Violation {
  readonly promise: PromiseName
  readonly evidence: string
}

/** What a simulated night is held to. One list, so that a table of mutants can say which promise found each. */
export const PROMISES = {
  'accepted is settled or open': 'Every accepted job is either settled or still there.',
  'one settlement': 'A job settles once; nothing is said of it afterwards.',
  'true outcome': 'The outcome is the first reason: what the process did by itself, or why it was stopped.',
  'as asked':
    'Jobs are those that were asked for: their pipelines, fallbacks, attempts, prerequisites, and what lay on the shelf.',
  'contents are true': 'What is passed on, concluded and handed over is what the processes reported, each line once.',
  durations:
    'Time limits, back-offs, patience, deadlines and memory last as long as they should, whatever the wall clock does.',
  'entries in order': 'Entries are numbered without holes and never run back in time.',
  'marks change nothing': 'A world that never took a mark is the same as one that did.',
  'groups by their rules': 'A group ends as its policy, its members and the rule for late ones have it.',
  'gather after members':
    'A gather begins when every awaited member has settled, or patience ended and they are named.',
  'members are identities': 'A group counts exposures by identity; its newest job stands for a member.',
  'one gather per closure': 'Every closure of a group has its own revision, one gather and one result.',
  'slots not exceeded':
    'Never more slots taken than there are, in the queue with those in advance, by processes without.',
  'order kept': 'Who is granted a slot is of the highest priority waiting, and there the oldest (or newest).',
  'no slot idle': 'While the queue flows, nobody waits who fits.',
  'no grant when held': 'A paused or closed queue grants nothing.',
  'nothing unknown runs': 'A process that runs belongs to a job that is running or being stopped.',
  'one start per attempt': 'Attempts are numbered 1, 2, 3… and each is started once.',
  'data before start': 'A job that waits for its data starts after they were ingested.',
  'one answer': 'A command is executed once and has one final answer, however often it is sent.',
  'replay is the same': 'The journal so far, folded, gives the same state, announcements and orders.',
  'quiet is quiet': 'A quiescent entry is written when nothing is open.',
  'written before said': 'Nothing is said or ordered before its entry is durable.',
  'said once': 'Announcements are numbered upwards; what is known to have been said is not said again.',
  'timers belong to states': 'A timer is armed only while its actor is in the state it belongs to.',
  'fenced is silent': 'Who has lost the journal says and orders nothing.',
  'no fault of its own': 'The CSC goes to FAULT only when something was broken on purpose, and nothing throws.',
  'all ends': 'When operators let it, everything accepted comes to its end and every command is answered.',
  'refused in words': 'Whatever the bytes, the decoder returns a command or a refusal.',
} as const

export type PromiseName = keyof typeof PROMISES
