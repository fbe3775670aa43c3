import { csc, type CscInput } from './csc.ts'
import { display, type DisplayInput } from './display.ts'
import { gather, type GatherInput } from './gather.ts'
import { ingest, type IngestInput } from './ingest.ts'
import { job, type JobInput } from './job.ts'
import { queue, type QueueInput } from './queue.ts'
import { shelf, type ShelfInput } from './shelf.ts'
import { reply, type ReplyInput } from './reply.ts'

/** Every machine by its kind: what decides. Pure; the same in Node, in tests on a stepped clock, and in the browser. */
export const machines = { csc, queue, job, gather, reply, shelf, display, ingest } as const

export type MachineKind = keyof typeof machines

export type MachineInput =
  | CscInput
  | QueueInput
  | JobInput
  | GatherInput
  | ReplyInput
  | ShelfInput
  | DisplayInput
  | IngestInput

/** Which decisions wrote a recording; raised when the same journal would give other announcements. */
export const MACHINES_VERSION = '3'
