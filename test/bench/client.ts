/**
 * The script's side of a benchmark, in a process of its own so that its work is not counted against the instance's event loop. Speaks lines of
 * JSON with its parent over IPC.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectNats } from '../../src/bus/nats.ts'
import type { Bus } from '../../src/bus/port.ts'

export type Ask =
  | { readonly do: 'accept'; readonly count: number; readonly inFlight: number }
  | { readonly do: 'throughput'; readonly count: number }
  | { readonly do: 'latencies'; readonly count: number }
  | { readonly do: 'gathers'; readonly count: number }

const instance = 'BENCH'
const [, , url = '', workDir = ''] = process.argv
const bus: Bus = await connectNats({ url, name: 'bench' })
const heard = new Map<string, number>()
const waiting = new Map<string, () => void>()

bus.subscribe(`ocps.${instance}.evt.jobResult.*`, ({ body }) =>
  settle((JSON.parse(Buffer.from(body).toString()) as { jobId: string }).jobId),
)
bus.subscribe(`ocps.${instance}.evt.groupResult.*`, ({ body }) =>
  settle((JSON.parse(Buffer.from(body).toString()) as { group: string }).group),
)
await bus.request(`ocps.${instance}.qry.state`, '', { timeoutMs: 5_000 })

function settle(id: string): void {
  heard.set(id, now())
  waiting.get(id)?.()
}

/** Milliseconds since 1970 with microseconds, on the clock `date` reads. */
function now(): number {
  return performance.timeOrigin + performance.now()
}

function settled(id: string): Promise<void> {
  return heard.has(id) ? Promise.resolve() : new Promise(resolve => waiting.set(id, resolve))
}

async function send(body: object): Promise<string> {
  const answer = await bus.request(`ocps.${instance}.cmd.processData`, JSON.stringify(body), {
    timeoutMs: 30_000,
    headers: { 'Nats-Msg-Id': randomUUID() },
  })
  const ack = JSON.parse(Buffer.from(answer.body).toString()) as { ack: number; result: string; jobIds: string[] }
  if (ack.ack !== 303) throw new Error(ack.result)
  return ack.jobIds[0] ?? ''
}

/** When the job's `date` ran, milliseconds since 1970. */
function stamp(jobId: string): number {
  return Number(readFileSync(join(workDir, jobId, 'stdout.log'), 'utf8')) * 1000
}

async function many(
  count: number,
  inFlight: number,
  pipeline: string,
): Promise<{ ids: string[]; latencies: number[] }> {
  const ids: string[] = []
  const latencies: number[] = []
  let left = count
  const one = async () => {
    while (left-- > 0) {
      const began = performance.now()
      ids.push(await send({ dataId: { obsid: `BENCH_${left}` }, pipeline }))
      latencies.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, one))
  return { ids, latencies }
}

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.do) {
    case 'accept': {
      await bus.request(`ocps.${instance}.cmd.pause`, '', { timeoutMs: 5_000 })
      const began = performance.now()
      const { ids, latencies } = await many(ask.count, ask.inFlight, 'true')
      const seconds = (performance.now() - began) / 1000
      await bus.request(`ocps.${instance}.cmd.resume`, '', { timeoutMs: 5_000 })
      await Promise.all(ids.map(settled))
      return { latencies, perSecond: ask.count / seconds }
    }
    case 'throughput': {
      const began = performance.now()
      const { ids } = await many(ask.count, 64, 'true')
      await Promise.all(ids.map(settled))
      return ask.count / ((performance.now() - began) / 1000)
    }
    case 'latencies': {
      const commandToStart: number[] = []
      const endToResult: number[] = []
      for (let at = 0; at < ask.count; at++) {
        const began = now()
        const id = await send({ dataId: { obsid: `BENCH_${at}` }, pipeline: 'date' })
        await settled(id)
        commandToStart.push(stamp(id) - began)
        endToResult.push((heard.get(id) ?? Number.NaN) - stamp(id))
      }
      return { commandToStart, endToResult }
    }
    case 'gathers': {
      const gaps: number[] = []
      for (let at = 0; at < ask.count; at++) {
        const group = `bench#${process.pid}.${at}`
        const members = await Promise.all(
          [1, 2, 3, 4, 5].map(n => send({ dataId: { obsid: `BENCH_${at}_${n}` }, pipeline: 'date', group })),
        )
        await send({ dataId: { group }, pipeline: 'combine' })
        await settled(group)
        const gather = [...heard.keys()].find(id => id.startsWith(members[0] ?? '-') && id.endsWith('-g1'))
        if (gather === undefined) throw new Error(`group ${group} has no gather job`)
        gaps.push(stamp(gather) - Math.max(...members.map(id => heard.get(id) ?? Number.NaN)))
      }
      return gaps
    }
  }
}

process.on('message', (ask: Ask) => {
  void answer(ask).then(
    value => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ value: 'ready' })
