/**
 * Loaded into `ocps serve` before its own code: how late its event loop is. Asked by SIGUSR2, it writes what it saw
 * since it was asked last, milliseconds, to the file named in the environment. Its timer costs the loop 100 turns a
 * second; OCPS itself knows nothing of it.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const file = process.env['OCPS_BENCH_DELAYS']

if (file !== undefined) {
  const seen = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  seen.enable()
  process.on('SIGUSR2', () => {
    // What is recorded is from one turn of its timer to the next.
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
    writeFileSync(`${file}.part`, JSON.stringify({ p50: late(seen.percentile(50)), p99: late(seen.percentile(99)) }))
    renameSync(`${file}.part`, file)
    seen.reset()
  })
}
