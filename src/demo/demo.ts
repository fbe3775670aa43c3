/**
 * The demo: one instance of OCPS with its own NATS server, a simulated telescope and an observing script, each a
 * process of its own as at a real site, and a display that knows no more than what is on the wire. Ends by itself, with
 * everything it started; Ctrl-C and failures included. What stays is a directory of images.
 */
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { findServer } from '../bus/server-binary.ts'
import { connectThrough } from '../client/connecting.ts'
import { type Service, startService } from '../instance/start.ts'
import { exposureTimeOf, framesIn } from '../sim/frames.ts'
import { connect } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { UserError } from '../userError.ts'
import { gatherImages, readTruth } from './images.ts'
import { emptyModel, hear, isComplete } from './model.ts'
import { openOutput } from './output.ts'
import { type Program, startProgram } from './processes.ts'
import { report, summaryOf } from './report.ts'
import { onSignal, OVERRIDE, tidy, writeConfiguration } from './surroundings.ts'
import { fromScript, fromWire, type WireMessage } from './wire.ts'

export interface DemoOptions {
  readonly instance: string
  /** How many; null: five, or as many as there are real frames. */
  readonly exposures: number | null
  /** A directory of real frames to "take" instead of simulated ones; null for none. */
  readonly data: string | null
  /** Where files go and stay; null: a new directory among the system's temporary ones. */
  readonly keep: string | null
  /** Starts the inspector's page, with which the demo stays until it is stopped; null: it ends by itself. */
  readonly inspect: ((of: { instance: string; nats: NatsSettings }) => Promise<Page>) | null
  /** NDJSON on stdout instead of a page. */
  readonly json: boolean
}

export interface Page {
  /** null: it did not come up. */
  readonly url: string | null
  stop(): void
}

const EXPOSURES = 5
/** A night's worth would not fit on the page. */
const EXPOSURES_MAX = 50
/** Simulated seconds per real second: an exposure of 15 s takes about six tenths of one. */
const PACE = 24
const EXPOSURE_TIME_S = 15
/** Milliseconds; ctrl_oods takes 0.1 s to 0.5 s. */
const INGEST_MS = 150
/** The same sky every time, so that two runs can be compared. */
const SKY_SEED = 20_261_122
/** Events follow the script's last word within milliseconds; they come by another connection. */
const LAST_EVENTS_MS = 3_000
/** Five exposures take about ten seconds; a machine that needs this long is not going to show anything. */
const DEMO_MS = 120_000

/** Stopping takes OCPS a second or two; a pipeline that does not listen is killed after its grace time of five. */
const STOP_MS = 8_000
const POLL_MS = 20

/**
 * Runs it. Resolves with the exit code: 0 all is well, 1 something failed, 130 stopped by a signal. Throws UserError
 * for wrong options.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const frames = options.data === null ? null : await framesIn(options.data)
  const exposures = options.exposures ?? frames?.length ?? EXPOSURES
  if (!Number.isInteger(exposures) || exposures < 1 || exposures > EXPOSURES_MAX)
    throw new UserError(`--exposures must be a whole number from 1 to ${EXPOSURES_MAX}`)
  const began = Date.now()
  const exposureTime = (frames?.[0] === undefined ? undefined : exposureTimeOf(frames[0])) ?? EXPOSURE_TIME_S
  const plan = { exposures, exposureTime, pace: PACE }
  let model = emptyModel({ instance: options.instance, began, plan })
  const directory = options.keep === null ? await mkdtemp(join(tmpdir(), 'ocps-demo-')) : resolve(options.keep)
  const undo: (() => Promise<void>)[] = []
  const stopping = new AbortController()
  let interrupted = false
  let told: number | null = null
  const signals = onSignal(() => {
    interrupted = told === null
    stopping.abort()
  })
  const output = openOutput({ json: options.json, began })
  output.start(() => model)
  const running = observe()
  // Awaited below in any case.
  running.catch(() => {})
  try {
    const stopped = once(stopping.signal, 'abort').then(() => told ?? 130)
    return await Promise.race([running, stopped])
  } finally {
    stopping.abort()
    output.close(null)
    await takeApart(undo)
    // A start that was under way comes to its end first, and is then undone as well.
    await Promise.race([running.catch(() => {}), pause(STOP_MS)])
    await takeApart(undo)
    if (options.keep === null) await tidy(directory, interrupted)
    signals.forget()
  }

  async function observe(): Promise<number> {
    const { instance } = options
    const raw = join(directory, 'raw')
    const service = await startInstance(await writeConfiguration(directory, raw))
    const page = options.inspect && (await startPage(service, options.inspect))
    const bus = await connect({ nats: service.nats }, 'demo.display')
    undo.push(() => bus.close())
    for (const subject of [`ocps.${instance}.evt.>`, `ocps.${instance}.tel.>`, 'camera.*.evt.>', 'oods.*.evt.>'])
      bus.subscribe(subject, message => take(fromWire(message.subject, parsed(message.body))))

    const telescope = startChild(service, '../sim/telescope.js', {
      name: instance,
      raw,
      seed: String(SKY_SEED),
      pace: String(PACE),
      ingest: String(INGEST_MS),
      ...(options.data === null ? {} : { data: resolve(options.data) }),
    })
    await telescope.firstLine
    const asked = {
      instance,
      override: OVERRIDE,
      exposures: String(exposures),
      'exposure-time': String(exposureTime),
      json: '',
    }
    const script = startChild(service, '../sim/observingScript.js', asked, line => take(fromScript(line)))
    const code = await Promise.race([script.ended, pause(DEMO_MS).then(() => 'no end')])
    const lastWords = script.lastWords() || telescope.lastWords()
    if (code !== 0 && model.groupResult === null && !stopping.signal.aborted) {
      output.close(null)
      process.stderr.write(`the observing script ended with ${code}${lastWords === '' ? '' : `: ${lastWords}`}\n`)
      return 1
    }
    if (stopping.signal.aborted) return 130
    await until(() => isComplete(model), LAST_EVENTS_MS)

    const places = await gatherImages(model, { directory, workDir: service.workDir })
    const truth = await readTruth(model, obsid => join(raw, `${obsid}.fits`))
    const summary = summaryOf(model, places, truth, Date.now())
    output.close({ summary, lines: frame => report(model, summary, frame) })
    told = summary.ok && code === 0 ? 0 : 1
    if (page !== null) {
      process.stderr.write(`\nThe whole night is to be seen at ${page} until you press Ctrl-C.\n`)
      await once(stopping.signal, 'abort')
    }
    return told
  }

  async function startPage({ nats, instance }: Service, inspect: NonNullable<DemoOptions['inspect']>): Promise<string> {
    const page = await inspect({ instance, nats })
    undo.push(() => Promise.resolve(page.stop()))
    const { url } = page
    if (url === null) throw new UserError('the inspector could not be started; the demo runs without --inspect')
    return url
  }

  async function startInstance(configDir: string): Promise<Service> {
    // Found here, so that one that has to be unpacked is unpacked once and not for every demo.
    process.env['NATS_SERVER_BIN'] = (await findServer()).path
    const service = await startService({
      instance: options.instance,
      natsUrl: null,
      configDir,
      site: '',
      dataDir: directory,
      initialState: 'STANDBY',
      configurationOverride: '',
      simulate: false,
      logTo: null,
    })
    undo.push(() => service.stop())
    undo.push(() => abortAll(service))
    return service
  }

  /** Nothing a pipeline started may outlive the demo: in STANDBY every open job is stopped, and says so. */
  async function abortAll({ nats, instance }: Service): Promise<void> {
    if (isComplete(model)) return
    const ocps = await connectThrough({ nats }, { instance, identity: 'demo' })
    await ocps.bringTo('STANDBY', { timeoutMs: STOP_MS })
    const deadline = performance.now() + STOP_MS
    while ((await ocps.jobs()).open > 0 && performance.now() < deadline) await delay(POLL_MS)
    await ocps.close()
  }

  function startChild(
    { natsUrl }: Service,
    path: string,
    args: Readonly<Record<string, string>>,
    onLine: ((line: string) => void) | null = null,
  ): Program {
    if (stopping.signal.aborted) throw new Error('stopped before everything had started')
    const started = startProgram({ script: new URL(path, import.meta.url), args, natsUrl, onLine })
    undo.push(() => started.stop())
    return started
  }

  function take(heard: WireMessage | null): void {
    if (heard === null) return
    const told = model.story.length
    model = hear(model, heard, Date.now())
    output.heard(heard, model.story.slice(told))
  }
}

async function takeApart(undo: (() => Promise<void>)[]): Promise<void> {
  for (const one of undo.splice(0).reverse()) await one().catch(() => {})
}

async function until(condition: () => boolean, patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!condition() && performance.now() < deadline) await delay(POLL_MS)
}

/** Does not keep the process alive. */
function pause(milliseconds: number): Promise<void> {
  return delay(milliseconds, undefined, { ref: false })
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return null
  }
}
