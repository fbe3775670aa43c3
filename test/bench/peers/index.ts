/** Every system the bench knows, OCPS first; the bare loops last. */
import { cLoop, nodeLoop } from '../limits.ts'
import type { Peer } from '../port.ts'
import { bullmq } from './bullmq.ts'
import { celery } from './celery.ts'
import { gnuParallel } from './gnuParallel.ts'
import { ocps } from './ocps.ts'
import { slurm } from './slurm.ts'
import { taskSpooler } from './taskSpooler.ts'

export const peers: readonly Peer[] = [ocps, bullmq, celery, taskSpooler, gnuParallel, slurm, nodeLoop, cLoop]
