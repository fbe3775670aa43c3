/**
 * An observing script: takes a group of exposures, has each one measured while the next is taken, and in the end has
 * them combined. All it knows of OCPS is the client library; it runs anywhere that reaches the NATS server:
 *
 *     node dist/src/sim/observingScript.js --url nats://127.0.0.1:4222 --instance LATISS --exposures 5
 */
import { parseArgs } from 'node:util'
import { connectOcps, type Job, newGroupId } from '../client/index.ts'
import { connectCamera } from './cameraClient.ts'
import { serverNamed } from './server.ts'
import { sentence, type Step } from './steps.ts'

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    instance: { type: 'string', default: 'LATISS' },
    exposures: { type: 'string', default: '5' },
    'exposure-time': { type: 'string', default: '15' },
    /** The configuration OCPS is started with, where it is not running yet. */
    override: { type: 'string', default: '' },
    /** Steps as lines of JSON instead of sentences. */
    json: { type: 'boolean', default: false },
  },
})

try {
  process.exitCode = (await observe()) ? 0 : 1
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

/** True if every exposure went into the result. */
async function observe(): Promise<boolean> {
  const { instance } = options
  const nats = await serverNamed(options.url)
  const exposureTime = Number(options['exposure-time'])
  const ocps = await connectOcps({ url: nats.servers.join(','), instance, identity: 'observing-script' })
  const camera = await connectCamera({ nats, name: instance })
  try {
    const visited = await ocps.bringTo('ENABLED', { configurationOverride: options.override })
    tell({ step: 'enabled', visited: [...visited] })

    const group = newGroupId()
    tell({ step: 'group', group, exposures: Number(options.exposures), exposureTime })
    const accepted: Promise<Job>[] = []
    for (let taken = 0; taken < Number(options.exposures); taken++) {
      const obsid = await camera.takeImage({ exposureTime, groupId: group })
      tell({ step: 'exposing', obsid })
      // Not awaited: the next exposure begins while this one is ingested and measured.
      accepted.push(measure(obsid, group))
      accepted.at(-1)?.catch(() => {})
    }
    const jobs = await Promise.all(accepted)

    // The closing command need not wait for the jobs either: OCPS combines when the last has settled, and not before.
    tell({ step: 'closing', group, pipeline: 'stack' })
    const stack = await ocps.processData({ dataId: { group }, pipeline: 'stack' })
    const { outcome, message, metrics } = await stack.result
    await Promise.all(jobs.map(job => job.result))
    const depthGain = metrics.find(({ metric }) => metric === 'stack.depthGain')?.value ?? null
    tell({ step: 'combined', group, outcome, message, depthGain })
    return outcome === 'complete'
  } finally {
    await camera.close()
    await ocps.close()
  }

  /** Waits until the image is in the OODS and asks for its measurement; resolves once OCPS has accepted. */
  async function measure(obsid: string, group: string): Promise<Job> {
    await ocps.waitForImage(obsid)
    tell({ step: 'ingested', obsid })
    const asked = performance.now()
    const job = await ocps.processData({ dataId: { obsid }, pipeline: 'quicklook', group })
    const { jobId } = job
    tell({ step: 'accepted', obsid, pipeline: 'quicklook', jobId, milliseconds: performance.now() - asked })
    void follow(obsid, job)
    return job
  }

  /** Metrics come while the pipeline runs; here a script could refocus, or take the exposure again. */
  async function follow(obsid: string, job: Job): Promise<void> {
    for await (const { metric, value, unit } of job.metrics) tell({ step: 'metric', obsid, metric, value, unit })
    const { outcome } = await job.result
    tell({ step: 'result', obsid, outcome: outcome.kind, message: outcome.message })
  }
}

function tell(step: Step): void {
  process.stdout.write(`${options.json ? JSON.stringify(step) : sentence(step)}\n`)
}
