import type { AnyStateMachine } from 'xstate'
import { csc } from './csc.ts'
import { display } from './display.ts'
import type { MachineKind } from './domain/inputs.ts'
import { gather } from './gather.ts'
import { ingest } from './ingest.ts'
import { job } from './job.ts'
import { queue } from './queue.ts'
import { shelf } from './shelf.ts'
import { reply } from './reply.ts'

export type { MachineInput, MachineKind } from './domain/inputs.ts'

/** Every machine by its kind: what decides. Pure; the same in Node, in tests on a stepped clock, and in the browser. */
export const machines = { csc, queue, job, gather, reply, shelf, display, ingest } as const satisfies Record<
  MachineKind,
  AnyStateMachine
>

/** Which decisions wrote a recording; raised when the same journal would give other announcements. */
export const MACHINES_VERSION = '3'
