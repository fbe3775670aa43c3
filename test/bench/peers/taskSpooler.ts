/**
 * task-spooler: a queue on one machine with a command line and no set-up. Knows no groups; the nearest is a job that
 * takes every slot.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { now } from '../clock.ts'
import { inFull, type Peer, type Place, type Running, type Work } from '../port.ts'
import { freshId, type Submit, submitAll, watchEach } from '../submitting.ts'
import { answerOf, which } from '../tools.ts'

export const taskSpooler: Peer = {
  name: 'task-spooler',
  durability: 'the whole queue is lost',
  jobsMax: null,
  watchedMax: 100,
  liveMax: 200,
  // It cannot be held, and every waiting job is a process.
  depths: [],
  available: () =>
    Promise.resolve(
      program() === null ? 'task-spooler is skipped: there is no tsp (apt-get install task-spooler).' : null,
    ),
  version: async () => /v(\d\S*)/.exec(await answerOf(program() ?? '', ['-V']))?.[1] ?? 'unknown',
  start,
}

/** Debian calls it tsp, because another package has ts. */
function program(): string | null {
  return which('tsp')
}

/** Each submission is a process of its own; more at once only take the cores from the jobs. */
const IN_FLIGHT = 4
const CALL_MS_MAX = 200_000

async function start({ dir, concurrency }: Place): Promise<Running> {
  const tsp = program() ?? 'tsp'
  const temporary = join(dir, 'tsp')
  mkdirSync(temporary)
  const env = { ...process.env, TS_SOCKET: join(temporary, 'socket'), TMPDIR: temporary, TS_MAXFINISHED: '1000' }
  const call = async (...args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(tsp, args, { env, timeout: CALL_MS_MAX })).stdout.trim()
  // Its answer is not read through a pipe: the server it starts would keep that open.
  await once(spawn(tsp, ['-S', String(concurrency)], { env, stdio: 'ignore' }), 'exit')

  /** The job's id; its output goes to a file, as with OCPS. */
  const add = (argv: readonly string[], ...options: readonly string[]): Promise<string> => call(...options, ...argv)
  /** Resolves when everything submitted before has ended. */
  const barrier = async (argv: readonly string[]): Promise<void> => {
    await call('-w', await add(argv, '-N', String(concurrency)))
  }
  const submit: Submit = async ({ argv }, id) => ({ seen: call('-w', await add(inFull(argv, id))) })
  const submitOnly: Submit = async ({ argv }, id) => {
    await add(inFull(argv, id))
    return { seen: Promise.resolve() }
  }
  return {
    async run(work: Work) {
      const began = now()
      const { accepted } = await submitAll(submitOnly, work, IN_FLIGHT)
      await barrier(['/bin/true'])
      return { seconds: (now() - began) / 1_000, accepted }
    },
    watch: work => watchEach(submit, work),
    async gather({ argv, count }) {
      for (let at = 0; at < count; at += 1) await add(inFull(argv, freshId()))
      await barrier(inFull(argv, 'gather'))
    },
    queue: null,
    recover: null,
    replay: null,
    heartbeats: null,
    delays: null,
    stop: async () => void (await call('-K')),
  }
}
