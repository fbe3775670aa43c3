/**
 * BullMQ's worker in a process of its own, as its documentation has it: `bullmqWorker.js <port> <concurrency>`; runs
 * each job as a process.
 */
import { spawn } from 'node:child_process'
import { bullMq } from './bullmqLibrary.ts'

const [, , port = '', concurrency = ''] = process.argv
const { Worker } = bullMq()
const worker = new Worker(
  'bench',
  ({ data: { argv } }) =>
    new Promise((resolve, reject) => {
      const [program = '', ...args] = argv
      spawn(program, args, { stdio: 'ignore' })
        .once('exit', code => (code === 0 ? resolve(0) : reject(new Error(`exit code ${code}`))))
        .once('error', reject)
    }),
  {
    connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null },
    concurrency: Number(concurrency),
  },
)
// It connects again by itself.
worker.on('error', () => {})
process.on('SIGINT', () => {})
process.on('disconnect', () => void worker.close().finally(() => process.exit()))
await worker.waitUntilReady()
process.send?.('ready')
