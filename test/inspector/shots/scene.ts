/**
 * A lively moment of a night, with real jobs over simulated frames: a group that is combined, one that fills, jobs that
 * run and wait, a focal plane, and one frame that cannot be read. What runs stays so until the scene is taken apart.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { gatherAddress } from '../../../machines/domain/messages.ts'
import { connectNats } from '../../../src/bus/nats.ts'
import { deriveGroupId } from '../../../src/client/index.ts'
import { createCommands } from '../../../src/inspector/commands.ts'
import { drawCharts } from '../../../src/inspector/charts.ts'
import { type Gateway, startGateway } from '../../../src/inspector/gateway.ts'
import { readPage } from '../../../src/inspector/pageFiles.ts'
import { startTail } from '../../../src/night/tail.ts'
import { toLine } from '../../../src/journal/lines.ts'
import { openJournal } from '../../../src/journal/log.ts'
import { simulatedFrames } from '../../../src/sim/frames.ts'
import { startService } from '../../../src/instance/start.ts'
import { makePlace, optionsFor } from '../../conformance/instance.ts'
import { connectWire } from '../../conformance/wire.ts'
import { justUrl } from '../../../src/settings/connect.ts'

export interface Scene {
  readonly gateway: Gateway
  /** The same, where commands may be sent. */
  readonly commanding: Gateway
  /** One that runs, of the group that fills. */
  readonly runningJob: string
  readonly doneJob: string
  readonly failedJob: string
  /** Addresses of actors. */
  readonly fillingGroup: string
  readonly combinedGroup: string
  /** The journal so far, as lines. */
  recording(): Promise<string>
  /** The instance goes away; the page stays. */
  leave(): Promise<void>
  stop(): Promise<void>
}

const DAY = 20261122
const SECONDS = 30
const DETECTORS = 189

export async function startScene(): Promise<Scene> {
  const pipelines = fileURLToPath(new URL('../../../src/pipelines', import.meta.url))
  // The real quicklook, and then it waits for a file, so that the moment can be looked at.
  const quicklook = {
    description: 'Stars, PSF, background and preview of one frame',
    scope: 'exposure',
    command: [
      '/bin/sh',
      '-c',
      `"${process.execPath}" "${pipelines}/quicklook.js" "$0" 3>said; code=$?
grep -v '"progress":1' said >&3; while [ ! -e "$1" ]; do sleep 0.1; done; grep '"progress":1' said >&3; exit $code`,
      '{input}',
      '{override.gate}',
    ],
    timeLimit: 600,
    grace: 1,
    overrides: { gate: { type: 'string', default: '/' } },
    retries: { attempts: 2, backoff: 1, on: ['signal'] },
  }
  const stack = {
    description: "Aligned, cosmic-ray cleaned mean of a group's frames",
    scope: 'group',
    command: ['{node}', '{pipelines}/stack.js'],
    timeLimit: 600,
    grace: 1,
  }
  // One measurement, the way seeing varies over a plane; detector 84 has a dead amplifier.
  const isr = {
    description: 'Noise of one detector',
    scope: 'detector',
    command: [
      '/bin/sh',
      '-c',
      `d=$0; [ $d = 84 ] && { echo "amplifier C03 is dead" >&2; exit 1; }
v=$(awk -v d=$d 'BEGIN { x = d % 15 - 7; y = int(d / 15) - 6; printf "%.3f", 8.1 + 0.03 * (x * x + y * y) ^ 0.9 + (d * 7919 % 17) / 40 }')
echo "{\\"metric\\":\\"background.noise\\",\\"value\\":$v,\\"unit\\":\\"adu\\"}" >&3`,
      '{detector}',
    ],
    timeLimit: 60,
    grace: 1,
  }
  const place = makePlace({ quicklook, stack, isr })
  const data = join(place.dir, 'frames')
  mkdirSync(data)
  const display = [{ view: 'newest', dataset: 'preview' }]
  writeFileSync(
    join(place.configDir, '_shots.yaml'),
    stringify({ slots: 4, dataPath: `${data}/{obsid}.fits`, display }),
  )
  const service = await startService(optionsFor(place, { site: 'shots' }))
  const wire = await connectWire(service.natsUrl, 'LATISS')
  const frames = simulatedFrames(7)
  let seqNum = 0

  const take = async (body: object, isReadable = true): Promise<string> => {
    seqNum += 1
    const obsid = `AT_O_${DAY}_${String(seqNum).padStart(6, '0')}`
    const shot = { obsid, dayObs: DAY, seqNum, instrument: 'LATISS', begun: Date.now(), exposureTime: SECONDS }
    const frame = await frames({ ...shot, groupId: 'shots' })
    writeFileSync(join(data, `${obsid}.fits`), isReadable ? frame : 'not a frame')
    const { jobIds, result } = await wire.command('processData', { dataId: { obsid }, pipeline: 'quicklook', ...body })
    const [jobId] = jobIds
    if (jobId === undefined) throw new Error(`the scene's job was refused: ${result}`)
    return jobId
  }

  const combined = deriveGroupId('2026-11-22T22:41:07.310')
  const first: string[] = []
  for (let count = 0; count < 5; count += 1) first.push(await take({ group: combined }))
  await wire.command('closeGroup', { group: combined, pipeline: 'stack' })
  const failedJob = await take({}, false)
  await Promise.all([...first, failedJob].map(jobId => wire.result(jobId)))
  const detectors = Array.from({ length: DETECTORS }, (_, detector) => detector)
  const visit = 'MC_O_20261122_000042'
  const { jobIds: plane } = await wire.command('processData', {
    dataId: { instrument: 'LSSTCam', obsid: visit, detector: detectors },
    pipeline: 'isr',
    group: { id: visit, expected: 1 },
  })
  await Promise.all(plane.map(jobId => wire.result(jobId)))

  const filling = deriveGroupId('2026-11-22T22:59:05.721')
  const gate = place.gate()
  const members: string[] = []
  for (let count = 0; count < 9; count += 1)
    members.push(
      await take({
        group: { id: filling, expected: 12, pipeline: 'stack' },
        ...(count < 4 ? {} : { overrides: { gate: gate.path } }),
      }),
    )
  await Promise.all(members.slice(0, 4).map(jobId => wire.result(jobId)))
  const runningJob = members[5] ?? ''
  await wire.event('jobState', body => body['jobId'] === runningJob && body['state'] === 'running')

  const tail = startTail({ instance: 'LATISS', nats: () => justUrl(service.natsUrl) })
  const served = { instance: 'LATISS', port: 0, host: '127.0.0.1', page: readPage(await drawCharts()), tail }
  const gateway = await startGateway(served)
  const commands = createCommands({ instance: 'LATISS', nats: () => justUrl(service.natsUrl) })
  const commanding = await startGateway({ ...served, commands })
  let hasLeft = false
  const leave = async () => {
    if (hasLeft) return
    hasLeft = true
    gate.open()
    await Promise.all(members.map(jobId => wire.result(jobId)))
    await wire.close()
    await service.stop()
  }
  return {
    gateway,
    commanding,
    runningJob,
    doneJob: first[1] ?? '',
    failedJob,
    fillingGroup: gatherAddress(filling),
    combinedGroup: gatherAddress(combined),
    async recording() {
      const bus = await connectNats({ url: service.natsUrl, name: 'shots' })
      const { journal } = await openJournal({ bus, instance: 'LATISS' })
      const lines: string[] = []
      for await (const entry of journal.read('start')) lines.push(toLine(entry))
      await bus.close()
      return lines.join('\n')
    },
    leave,
    async stop() {
      await leave()
      await gateway.close()
      await commanding.close()
      await tail.close()
      place.remove()
    },
  }
}
