/**
 * What `ocps inspect` and `ocps explain` do. Both read the journal and append nothing; the inspector goes on until
 * Ctrl-C, or until the process that started it is gone.
 */
import { writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createCommands } from '../inspector/commands.ts'
import { drawCharts } from '../inspector/charts.ts'
import { explain } from '../night/explain.ts'
import { startGateway } from '../inspector/gateway.ts'
import { createNight } from '../night/night.ts'
import { readPage, singleFile } from '../inspector/pageFiles.ts'
import { mustHaveJournal, startTail } from '../night/tail.ts'
import { openJournal } from '../journal/log.ts'
import { toLine } from '../journal/lines.ts'
import { readRecording } from '../journal/recording.ts'
import { connect } from '../settings/connect.ts'
import { UserError } from '../userError.ts'
import type { InspectOptions } from './inspectOptions.ts'
import { addressOf, cannotListen, OF_INSPECT, OF_SERVE } from './inspectorAddress.ts'
import { createOutput } from './output.ts'
import { serverOf } from './recording.ts'
import type { SharedOptions } from './session.ts'

export async function inspect(options: InspectOptions, recording: string | undefined): Promise<void> {
  if (recording !== undefined) return writePage(options, recording)
  if (options.output !== undefined)
    throw new UserError('-o writes a recording as one file; name the recording, made with "ocps record"')
  const { instance } = options
  const out = createOutput(options.json === true)
  // Whoever started us as a part of itself has other names for these options, and its own sentences are printed here.
  const spelled = process.send ? OF_SERVE : OF_INSPECT
  const address = addressOf(
    { port: options.port, host: options.host, names: options.hostName, token: options.token },
    spelled,
  )
  const { port, host, names, token } = address
  const nats = () => serverOf(options)
  const commands = options.allowCommands === true ? createCommands({ instance, nats }) : null
  const page = readPage(await drawCharts())
  const tail = startTail({ instance, nats })
  const gateway = await startGateway({ instance, port, host, names, token, commands, page, tail }).catch(
    async (error: unknown) => {
      await tail.close()
      throw cannotListen(error, address, spelled)
    },
  )
  // A token that was given is known to whoever gave it; only one made here has to be said.
  const asked = address.isNewToken ? `?token=${token}` : ''
  const shown = `${gateway.url}${asked}`
  const stately = `${gateway.url}stately${asked}`
  const hint = token !== null && !address.isNewToken ? '; add ?token= and the token the first time' : ''
  const text = `the inspector of ${instance} is at ${shown}${hint}\nStately's inspector attaches at ${stately}`
  out.say(text, { url: shown, stately, port: gateway.port, instance })
  process.send?.({ url: shown })
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.once(signal, () => stopping.abort())
  await once(stopping.signal, 'abort')
  await gateway.close()
  await tail.close()
}

/** Prints the sentence. Throws UserError for an id the journal does not hold. */
export async function explainTo(options: SharedOptions, id: string): Promise<void> {
  const { instance } = options
  const bus = await connect({ nats: serverOf(options) }, 'ocps-explain')
  try {
    await mustHaveJournal(bus, instance)
    const { journal } = await openJournal({ bus, instance })
    // What is open, or just over, is found without reading the night.
    for (const from of ['quiescent', 'start'] as const) {
      const night = createNight(instance)
      for await (const entry of journal.read(from)) night.apply(entry)
      const text = explain(night, id)
      if (text === null) continue
      createOutput(options.json === true).say(text, { id, text })
      return
    }
    throw new UserError(`the journal of ${instance} knows no job and no group ${JSON.stringify(id)}`)
  } finally {
    await bus.close()
  }
}

async function writePage({ instance, output, json }: InspectOptions, recording: string): Promise<void> {
  const lines: string[] = []
  for await (const entry of readRecording(recording)) lines.push(toLine(entry))
  if (lines.length === 0) throw new UserError(`${recording} holds no entry; a recording is made with "ocps record"`)
  const file = output ?? `${recording.replace(/\.ndjson(\.gz)?$/, '')}.html`
  const page = readPage(await drawCharts())
  await writeFile(file, singleFile({ page, instance, lines: lines.join('\n') }))
  createOutput(json === true).say(`${file} shows ${lines.length} entries in any browser, without a server`, {
    file,
    entries: lines.length,
  })
}
