/** BullMQ on a redis-server with an append-only file: the job queue most Node programs use. Groups are its flows. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { now } from '../clock.ts'
import { inFull, type Peer, type Place, type Running } from '../port.ts'
import { freshId, runAll, type Submit, submitAll, watchEach } from '../submitting.ts'
import { answerOf, built, which } from '../tools.ts'
import { bullMq, bullMqVersion, installBullMq, type JobOptions } from './bullmqLibrary.ts'
import { startRedis } from './redis.ts'

export const bullmq: Peer = {
  name: 'bullmq',
  durability:
    'Redis: the last second of accepted jobs is lost with the power, not by kill -9; worker: running jobs are run a second time',
  jobsMax: null,
  watchedMax: 100,
  liveMax: 200,
  depths: [1_000, 10_000, 100_000],
  async available() {
    if (which('redis-server') === null)
      return 'BullMQ is skipped: there is no redis-server (apt-get install redis-server).'
    const problem = await installBullMq()
    return problem === null ? null : `BullMQ is skipped: ${problem}`
  },
  async version() {
    const redis = /v=(\S+)/.exec(await answerOf(which('redis-server') ?? '', ['--version']))?.[1]
    return `${bullMqVersion()}, Redis ${redis} (AOF every second)`
  },
  start,
}

const QUEUE = 'bench'
/** As its documentation advises for production: finished jobs are not kept for ever. */
const KEPT = { removeOnComplete: { count: 1_000 } }
/** Its worker asks for work again within a few seconds after Redis was away. */
const POLL_MS = 5
const STOP_MS_MAX = 5_000

async function start({ dir, concurrency }: Place): Promise<Running> {
  const redis = await startRedis(dir)
  const library = bullMq()
  const connection = { host: '127.0.0.1', port: redis.port, maxRetriesPerRequest: null }
  const queue = new library.Queue(QUEUE, { connection })
  const events = new library.QueueEvents(QUEUE, { connection })
  const flows = new library.FlowProducer({ connection })
  // They connect again by themselves.
  for (const one of [queue, events, flows]) one.on('error', () => {})
  const worker = fork(built('peers/bullmqWorker.js'), [String(redis.port), String(concurrency)])
  const waiting = new Map<string, () => void>()
  let results = 0
  let onResult = (): void => {}
  const settle = ({ jobId }: { jobId: string }): void => {
    results += 1
    onResult()
    waiting.get(jobId)?.()
    waiting.delete(jobId)
  }
  events.on('completed', settle)
  events.on('failed', settle)
  await Promise.all([once(worker, 'message'), queue.waitUntilReady(), events.waitUntilReady()])

  const result = (id: string): Promise<void> => new Promise(resolve => waiting.set(id, resolve))
  const submit: Submit = async ({ argv }, id) => {
    const seen = result(id)
    await queue.add('job', { argv: inFull(argv, id) }, { jobId: id, ...KEPT })
    return { seen }
  }
  const submitOnly: Submit = async ({ argv }, id) => {
    await queue.add('job', { argv: inFull(argv, id) }, KEPT)
    return { seen: Promise.resolve() }
  }
  const waitingNow = async (): Promise<number> =>
    Object.values(await queue.getJobCounts('wait', 'paused')).reduce((sum, count) => sum + count, 0)
  const member = (argv: readonly string[], id: string) => {
    const opts: JobOptions = { jobId: id, ...KEPT }
    return { name: 'job', queueName: QUEUE, data: { argv: inFull(argv, id) }, opts }
  }
  return {
    run: work => runAll(submit, work),
    watch: work => watchEach(submit, work),
    async gather({ argv, count }) {
      const id = freshId()
      const seen = result(id)
      const children = Array.from({ length: count }, () => member(argv, freshId()))
      await flows.add({ ...member(argv, id), data: { argv: inFull(argv, 'gather') }, children })
      await seen
    },
    queue: {
      hold: () => queue.pause(),
      fill: async work => (await submitAll(submitOnly, work)).accepted,
      async drain(count) {
        const until = results + count
        const began = now()
        const enough = new Promise<void>(resolve => {
          onResult = () => {
            if (results >= until) resolve()
          }
        })
        await queue.resume()
        await enough
        const seconds = (now() - began) / 1_000
        await queue.pause()
        while ((await queue.getJobCounts('active'))['active'] !== 0) await delay(POLL_MS)
        return seconds
      },
    },
    async recover() {
      const waitedBefore = await waitingNow()
      const began = now()
      await redis.killAndStart()
      return { waitedBefore, waiting: await waitingNow(), ms: now() - began, starts: 1 }
    },
    replay: null,
    heartbeats: null,
    delays: null,
    async stop() {
      const gone = once(worker, 'exit')
      worker.disconnect()
      if ((await Promise.race([gone, delay(STOP_MS_MAX, 'late')])) === 'late') worker.kill('SIGKILL')
      await Promise.race([Promise.all([queue.close(), events.close(), flows.close()]), delay(STOP_MS_MAX)])
      await redis.stop()
    },
  }
}
