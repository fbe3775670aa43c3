/**
 * What `ocps inspect` and `ocps explain` do. Both read the journal and append nothing; the inspector goes on until Ctrl-C, or until the process that started
 * it is gone.
 */
import { writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { connectNats } from '../bus/nats.ts'
import { isLoopback, isToken, newToken, TOKEN_RULE } from '../inspector/access.ts'
import { createCommands } from '../inspector/commands.ts'
import { drawCharts } from '../inspector/charts.ts'
import { explain } from '../inspector/explain.ts'
import { startGateway } from '../inspector/gateway.ts'
import { createNight } from '../inspector/night.ts'
import { readPage, singleFile } from '../inspector/pageFiles.ts'
import { mustHaveJournal, startTail } from '../inspector/tail.ts'
import { openJournal } from '../journal/log.ts'
import { toLine } from '../journal/lines.ts'
import { readRecording } from '../journal/recording.ts'
import { UserError } from '../userError.ts'
import { type InspectOptions, TOKEN_VARIABLE } from './inspect.ts'
import { createOutput } from './output.ts'
import { serverUrl } from './recording.ts'
import type { SharedOptions } from './session.ts'

export async function inspect(options: InspectOptions, recording: string | undefined): Promise<void> {
  if (recording !== undefined) return writePage(options, recording)
  if (options.output !== undefined)
    throw new UserError('-o writes a recording as one file; name the recording, made with "ocps record"')
  const { instance, host, hostName: names } = options
  const out = createOutput(options.json === true)
  const { token, isNew } = tokenOf(options)
  const port = portOf(options.port)
  for (const name of names)
    if (!HOST_NAME.test(name))
      throw new UserError(`--host-name ${name}: a name like inspector.example.org, or with :port, and nothing else`)
  const url = () => serverUrl(options)
  const commands = options.allowCommands === true ? createCommands({ instance, url }) : null
  const page = readPage(await drawCharts())
  const tail = startTail({ instance, url })
  const gateway = await startGateway({ instance, port, host, names, token, commands, page, tail }).catch(
    async (error: unknown) => {
      await tail.close()
      throw cannotListen(error, options)
    },
  )
  // A token that was given is known to whoever gave it; only one made here has to be said.
  const asked = isNew ? `?token=${token}` : ''
  const address = `${gateway.url}${asked}`
  const stately = `${gateway.url}stately${asked}`
  const hint = token !== null && !isNew ? '; add ?token= and the token the first time' : ''
  const text = `the inspector of ${instance} is at ${address}${hint}\nStately's inspector attaches at ${stately}`
  out.say(text, { url: address, stately, port: gateway.port, instance })
  process.send?.({ url: address })
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.once(signal, () => stopping.abort())
  await once(stopping.signal, 'abort')
  await gateway.close()
  await tail.close()
}

/** Prints the sentence. Throws UserError for an id the journal does not hold. */
export async function explainTo(options: SharedOptions, id: string): Promise<void> {
  const { instance } = options
  const bus = await connectNats({ url: serverUrl(options), name: 'ocps-explain' })
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

const HOST_NAME = /^([A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/

/** Whoever is not on this machine must bring a token: the one given, or else one made now. */
function tokenOf({ host, token: given }: InspectOptions): { token: string | null; isNew: boolean } {
  const token = given ?? (process.env[TOKEN_VARIABLE] || null)
  if (token !== null && !isToken(token))
    throw new UserError(`the token of ${given === undefined ? TOKEN_VARIABLE : '--token'} is none: ${TOKEN_RULE}`)
  if (token !== null) return { token, isNew: false }
  return isLoopback(host) ? { token: null, isNew: false } : { token: newToken(), isNew: true }
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new UserError(`--port ${text}: a port is a number from 0 to 65535`)
  return port
}

function cannotListen(error: unknown, { port, host }: InspectOptions): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  if (code === 'EADDRINUSE') return new UserError(`port ${port} is taken; choose another with --port, or 0 for any`)
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL')
    return new UserError(
      `the inspector may not listen on ${host} port ${port} (${code}); choose others with --host, --port`,
    )
  return error
}
