import { once } from 'node:events'
import { createRequire } from 'node:module'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { ElkNode } from 'elkjs'

/*
 * ELK, in a thread of its own, which ends when there is nothing left to lay out: a layout takes up to a second, on a
 * busy machine more, and a heartbeat may not wait for it. What to lay out is decided in layout.ts.
 */

let thread: Worker | null = null
let pending = 0
// On two cores, pipelines and the server come first: one layout at a time.
let last: Promise<unknown> = Promise.resolve()

/** The graph with places. Throws an Error of one sentence. */
export function elkLayout(graph: ElkNode): Promise<ElkNode> {
  pending += 1
  const layout = last.then(() => inThread(graph))
  last = layout.catch(() => {})
  return layout
}

async function inThread(graph: ElkNode): Promise<ElkNode> {
  thread ??= new Worker(PROGRAM, {
    eval: true,
    workerData: { elk: createRequire(import.meta.url).resolve('elkjs') },
  })
  const worker = thread
  let sound = false
  try {
    const placed = await answerOf(worker, graph)
    sound = true
    return placed
  } finally {
    pending -= 1
    // One that failed is not asked again.
    if (pending === 0 || !sound) {
      thread = null
      await worker.terminate()
    }
  }
}

// A text and not a file, because Node 20 runs a thread from JavaScript only and the tests run the sources. ELK reports
// what went wrong with its whole source, a line of 1.4 MB, behind; the beginning says enough.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const ELK = require(workerData.elk)
parentPort.on('message', graph =>
  new ELK().layout(graph).then(
    graph => parentPort.postMessage({ graph }),
    error => parentPort.postMessage({ reason: String(error && error.message).slice(0, 200) }),
  ),
)`

// The largest chart takes one second alone, three on a machine at its limit; what takes so much longer does not end.
const LAYOUT_MS_MAX = 60_000

async function answerOf(worker: Worker, graph: ElkNode): Promise<ElkNode> {
  const over = new AbortController()
  const { signal } = over
  const events = [
    once(worker, 'message', { signal }).then(
      ([answer]: unknown[]) => answer as { graph: ElkNode } | { reason: string },
    ),
    once(worker, 'exit', { signal }).then(() => ({ reason: 'ELK ended without an answer' })),
    setTimeout(LAYOUT_MS_MAX, { reason: `ELK took more than ${LAYOUT_MS_MAX / 1_000} s` }, { signal }),
  ]
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  worker.postMessage(graph)
  try {
    const answer = await Promise.race(events).catch((error: unknown) => ({ reason: String(error) }))
    if ('graph' in answer) return answer.graph
    throw new Error(`a chart could not be laid out: ${answer.reason.slice(0, 200)}`)
  } finally {
    over.abort()
    await Promise.allSettled(events)
  }
}
