/**
 * The jobs every system is given: nothing, waiting, and a real frame's quicklook; and one that only says when it began.
 */
import { existsSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../src/instance/versions.ts'
import { simulatedFrames } from '../../src/sim/frames.ts'
import type { Work } from './port.ts'
import { built } from './tools.ts'

export const SLEEP_SECONDS = 0.05

export interface Works {
  readonly trues: (count: number) => Work
  readonly sleeps: (count: number) => Work
  /** Long enough to be looked at. */
  readonly lingering: (count: number) => Work
  readonly quicklooks: (count: number) => Work
  /** Each appends its id and the time it began to the file. */
  readonly stamps: (count: number) => Work
  readonly stampFile: string
}

export function worksIn(dir: string, { frame, stamp }: { frame: string; stamp: string | null }): Works {
  const stampFile = join(dir, 'stamps')
  const of =
    (name: string, ...argv: string[]) =>
    (count: number): Work => ({ name, argv, count })
  return {
    trues: of('true', '/bin/true'),
    sleeps: of('sleep', 'sleep', String(SLEEP_SECONDS)),
    lingering: of('linger', 'sleep', '3'),
    quicklooks: of('quicklook', process.execPath, built('../../src/pipelines/quicklook.js'), frame),
    stamps:
      stamp === null
        ? of('stamp', '/bin/sh', '-c', 'date "+$1 %s.%N" >> "$0"', stampFile, '{id}')
        : of('stamp', stamp, stampFile, '{id}'),
    stampFile,
  }
}

/** A frame of M13 where the shared data are, else one the simulated camera draws into `dir`. */
export async function frameIn(dir: string): Promise<{ path: string; what: string }> {
  const m13 = join(packageRoot, '..', 'shared', 'data', 'm13')
  const name = existsSync(m13)
    ? readdirSync(m13)
        .sort()
        .find(one => one.endsWith('.fits'))
    : undefined
  if (name !== undefined) return { path: join(m13, name), what: 'M13, 1392 × 1040 pixels' }
  const path = join(dir, 'simulated.fits')
  const shot = {
    obsid: 'AT_O_20261122_000001',
    groupId: 'bench',
    instrument: 'BENCH',
    dayObs: 20_261_122,
    seqNum: 1,
    begun: Date.UTC(2026, 10, 22),
    exposureTime: 5,
  }
  await writeFile(path, await simulatedFrames(1)(shot))
  return { path, what: 'a simulated sky, 960 × 720 pixels' }
}
