/**
 * Celery with redis as broker and result backend; groups are its chords. Its script is Python, as its users' are:
 * celery_tasks.py.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { Peer, Place, Ran, Running, Watched } from '../port.ts'
import { answerOf, benchSources, which } from '../tools.ts'
import { startRedis } from './redis.ts'

export const celery: Peer = {
  name: 'celery',
  durability:
    'Redis as with BullMQ; worker: running jobs are run a second time, an hour later unless visibility_timeout is lowered',
  jobsMax: null,
  watchedMax: 100,
  // A process per job, of some forty megabytes.
  liveMax: 16,
  // A busy worker hears too late that it shall take no more: the depth cannot be kept.
  depths: [],
  async available() {
    if (which('redis-server') === null)
      return 'Celery is skipped: there is no redis-server (apt-get install redis-server).'
    return (await python()) === null
      ? 'Celery is skipped: no python3 here has celery and redis (apt-get install python3-celery python3-redis).'
      : null
  },
  version: async () => await answerOf((await python()) ?? '', ['-c', 'import celery; print(celery.__version__)']),
  start,
}

/** A python3 that has celery; a version manager's may not, where Debian's has. */
async function python(): Promise<string | null> {
  for (const path of [which('python3'), '/usr/bin/python3']) {
    if (path === null) continue
    const has = await answerOf(path, ['-c', 'import celery, redis']).then(
      () => true,
      () => false,
    )
    if (has) return path
  }
  return null
}

/** A worker of eight processes takes two seconds. */
const READY_MS_MAX = 60_000
const STOP_MS_MAX = 8_000

async function start({ dir, concurrency }: Place): Promise<Running> {
  const redis = await startRedis(dir)
  const interpreter = (await python()) ?? 'python3'
  const sources = join(benchSources, 'peers')
  const env = {
    ...process.env,
    BENCH_REDIS: `redis://127.0.0.1:${redis.port}/0`,
    PYTHONPATH: sources,
    PYTHONDONTWRITEBYTECODE: '1',
    C_FORCE_ROOT: '1',
  }
  const words = ['-m', 'celery', '-A', 'celery_tasks', 'worker', '-c', String(concurrency), '-l', 'info']
  const lonely = ['--without-gossip', '--without-mingle', '--without-heartbeat']
  const worker = spawn(interpreter, [...words, ...lonely], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  const script = spawn(interpreter, [join(sources, 'celery_tasks.py')], { env, stdio: ['pipe', 'pipe', 'ignore'] })
  const ask = asking(script)
  await ready(worker.stderr)

  return {
    run: ({ argv, count }) => ask<Ran>('run', argv, count),
    watch: ({ argv, count }) => ask<Watched>('watch', argv, count),
    gather: ({ argv, count }) => ask('gather', argv, count),
    queue: null,
    recover: null,
    replay: null,
    heartbeats: null,
    delays: null,
    async stop() {
      script.stdin.end()
      const gone = once(worker, 'exit')
      worker.kill('SIGTERM')
      if ((await Promise.race([gone, delay(STOP_MS_MAX, 'late')])) === 'late') worker.kill('SIGKILL')
      await redis.stop()
    },
  }
}

/** The worker says so on its standard error, which is read on so that it does not fill. */
async function ready(log: Readable): Promise<void> {
  let said = ''
  const late = AbortSignal.timeout(READY_MS_MAX)
  for (;;) {
    const [text] = (await once(log, 'data', { signal: late })) as [Buffer]
    said += text.toString()
    if (said.includes(' ready.')) break
  }
  log.resume()
}

function asking(script: ChildProcessByStdio<Writable, Readable, null>) {
  const waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  createInterface({ input: script.stdout }).on('line', line => waiting.shift()?.resolve(line))
  script.on('exit', code => {
    for (const { reject } of waiting) reject(new Error(`Celery's script ended with code ${code}`))
  })
  return async <T>(what: string, ...args: readonly unknown[]): Promise<T> => {
    const line = await new Promise<string>((resolve, reject) => {
      waiting.push({ resolve, reject })
      script.stdin.write(`${JSON.stringify({ do: what, with: args })}\n`)
    })
    const { value, error } = JSON.parse(line) as { value?: T; error?: string }
    if (error !== undefined) throw new Error(error)
    return value as T
  }
}
