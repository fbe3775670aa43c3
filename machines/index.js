import { csc } from './csc.js';
import { gather } from './gather.js';
import { job } from './job.js';
import { queue } from './queue.js';
import { reply } from './reply.js';
/** Every machine by its kind: what decides. Pure; the same in Node, in tests on a stepped clock, and in the browser. */
export const machines = { csc, queue, job, gather, reply };
/** Which decisions wrote a recording; raised when the same journal would give other announcements. */
export const MACHINES_VERSION = '1';
