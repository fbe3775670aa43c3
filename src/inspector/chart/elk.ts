import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { ElkNode } from 'elkjs'

/*
 * ELK, in a thread of its own that ends with its work: a layout takes a second of a busy machine, and a heartbeat may not wait for it.
 * What to lay out is decided in layout.ts.
 */

// On two cores, pipelines and the server come first: one layout at a time.
let last: Promise<unknown> = Promise.resolve()

/** The graph with places. Throws an Error of one sentence. */
export function elkLayout(graph: ElkNode): Promise<ElkNode> {
  const layout = last.then(() => inThread(graph))
  last = layout.catch(() => {})
  return layout
}

// A text and not a file, because Node 20 runs a thread from JavaScript only and the tests run the sources. ELK reports what went wrong with
// its whole source, a line of 1.4 MB, behind; the beginning says enough.
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads')
const ELK = require(workerData.elk)
new ELK().layout(workerData.graph).then(
  graph => parentPort.postMessage({ graph }),
  error => parentPort.postMessage({ reason: String(error && error.message).slice(0, 200) }),
)`

// The largest chart takes one second alone, three on a machine at its limit; what takes so much longer does not end.
const LAYOUT_MS_MAX = 60_000

async function inThread(graph: ElkNode): Promise<ElkNode> {
  const elk = createRequire(import.meta.url).resolve('elkjs')
  const worker = new Worker(PROGRAM, { eval: true, workerData: { elk, graph } })
  try {
    return await answerOf(worker)
  } finally {
    await worker.terminate()
  }
}

function answerOf(worker: Worker): Promise<ElkNode> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new Error(`a chart could not be laid out: ${reason}`))
    const timer = setTimeout(() => fail(`ELK took more than ${LAYOUT_MS_MAX / 1_000} s`), LAYOUT_MS_MAX)
    worker.once('message', (answer: { graph: ElkNode } | { reason: string }) => {
      if ('graph' in answer) resolve(answer.graph)
      else fail(answer.reason)
    })
    worker.once('error', error => fail(error.message.slice(0, 200)))
    worker.once('exit', () => {
      clearTimeout(timer)
      fail('ELK ended without an answer')
    })
  })
}
