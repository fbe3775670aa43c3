/**
 * `npm run bench:page [-- --quick --only frames,seeks,pages --json FILE --profile PREFIX]`: the inspector under load. A
 * page in a real browser while 1 000 jobs a second change 5 000 live actors; seeks over 100 000 entries; and what
 * twenty open pages cost the instance. Prints a table each and one sentence on what it shows; everything runs on this
 * machine, the browser draws without a graphics card.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startEmbeddedServer } from '../../src/bus/embedded.ts'
import { startBrowser } from '../inspector/browser.ts'
import { measureFrames } from './page/frames.ts'
import type { Bench, Finding } from './page/part.ts'
import { measurePages } from './page/pages.ts'
import { measureSeeks } from './page/seeks.ts'
import { printed } from './page/printed.ts'

const PARTS = { frames: measureFrames, seeks: measureSeeks, pages: measurePages }

// Together under four minutes on two cores, the quick ones under one and a half.
const FULL = { lookMs: 6_000, entries: 100_000, seeks: 40, measureMs: 5_000, rounds: 4 }
const QUICK = { lookMs: 3_000, entries: 100_000, seeks: 15, measureMs: 4_000, rounds: 1 }

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
})
const wanted = options.only?.split(',') ?? Object.keys(PARTS)
for (const name of wanted)
  if (!(name in PARTS)) {
    process.stderr.write(`bench:page: --only ${name} is not known; there are ${Object.keys(PARTS).join(', ')}\n`)
    process.exit(2)
  }

const dir = mkdtempSync(join(tmpdir(), 'ocps-bench-page-'))
const server = await startEmbeddedServer({ storeDir: join(dir, 'nats') })
const browser = await startBrowser()
const before = loadavg()[0] ?? 0
console.log(`${availableParallelism()} cores, load average ${before.toFixed(1)} before it began\n`)
const findings: Record<string, Finding> = {}
try {
  const bench: Bench = {
    url: server.url,
    browser,
    sizes: options.quick === true ? QUICK : FULL,
    profileTo: options.profile ?? null,
  }
  for (const [name, measure] of Object.entries(PARTS)) {
    if (!wanted.includes(name)) continue
    const found = await measure(bench)
    findings[name] = found
    console.log(`${printed(found)}\n`)
  }
} finally {
  await browser.close()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
}
if (options.json !== undefined) {
  const machine = { cores: availableParallelism(), loadBefore: before, node: process.version }
  writeFileSync(options.json, `${JSON.stringify({ machine, ...findings }, null, 1)}\n`)
}
