/**
 * GNU parallel with a job log: a list of commands run so many at a time. No queue that others could add to, so only
 * whole lists are timed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { inFull, type Peer, type Place, type Running } from '../port.ts'
import { freshId } from '../submitting.ts'
import { answerOf, which } from '../tools.ts'

export const gnuParallel: Peer = {
  name: 'gnu-parallel',
  durability: 'what has not ended is run by hand again with --resume, and then running jobs a second time',
  jobsMax: 500,
  watchedMax: 0,
  liveMax: 200,
  depths: [],
  available: () =>
    Promise.resolve(
      which('parallel') === null ? 'GNU parallel is skipped: there is no parallel (apt-get install parallel).' : null,
    ),
  version: async () =>
    /^GNU parallel (\S+)/.exec(await answerOf(which('parallel') ?? '', ['--version']))?.[1] ?? 'not GNU',
  start,
}

function start({ dir, concurrency }: Place): Promise<Running> {
  let lists = 0
  return Promise.resolve({
    async run({ argv, count }) {
      lists += 1
      const log = join(dir, `joblog-${lists}`)
      const began = performance.now()
      const parallel = spawn(
        which('parallel') ?? 'parallel',
        ['--will-cite', '-j', String(concurrency), '--joblog', log],
        {
          stdio: ['pipe', 'ignore', 'ignore'],
          // It remembers things about this machine.
          env: { ...process.env, HOME: dir, PARALLEL_HOME: dir },
        },
      )
      parallel.stdin.end(
        Array.from({ length: count }, () => `${inFull(argv, freshId()).map(quoted).join(' ')}\n`).join(''),
      )
      await once(parallel, 'exit')
      return { seconds: (performance.now() - began) / 1_000, accepted: [] }
    },
    watch: null,
    gather: null,
    queue: null,
    recover: null,
    replay: null,
    heartbeats: null,
    delays: null,
    stop: () => Promise.resolve(),
  })
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
