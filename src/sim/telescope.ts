/**
 * The simulated telescope as a process of its own: a camera and its OODS at the far end of NATS, as at a real site.
 * Says `ready` on stdout once it hears; ends by SIGINT or SIGTERM.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from '../settings/connect.ts'
import { startCamera } from './camera.ts'
import { framesIn, recordedFrames, simulatedFrames } from './frames.ts'
import { startOods } from './oods.ts'
import { serverNamed } from './server.ts'

const { values } = parseArgs({
  options: {
    /** Better in NATS_URL where it holds a password. */
    url: { type: 'string' },
    name: { type: 'string', default: 'LATISS' },
    /** Where files go: <raw>/<obsid>.fits. */
    raw: { type: 'string' },
    /** Real frames instead of drawn ones. */
    data: { type: 'string' },
    seed: { type: 'string', default: '1' },
    pace: { type: 'string', default: '1' },
    ingest: { type: 'string', default: '500' },
  },
})
const { url, name, raw, data } = values
if (raw === undefined) throw new Error('telescope needs --raw')

const frames = data === undefined ? simulatedFrames(Number(values.seed)) : recordedFrames(await framesIn(data))
const bus = await connect({ nats: await serverNamed(url) }, `telescope.${name}`)
const camera = startCamera({
  bus,
  name,
  telescope: 'AT',
  frames,
  pace: Number(values.pace),
  pathOf: obsid => join(raw, `${obsid}.fits`),
})
const oods = startOods({ bus, name, ingestMs: Number(values.ingest) })

let ending = false
const end = async (): Promise<void> => {
  if (ending) return
  ending = true
  await Promise.all([camera.close(), oods.close()])
  await bus.close()
  process.exit(0)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end())
// The server must know our subscriptions before anybody asks: one round trip over the same connection, answered or not.
await bus.request(`camera.${name}.cmd.hello`, '', { timeoutMs: 1_000 }).catch(() => {})
process.stdout.write('ready\n')
