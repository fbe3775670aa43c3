/**
 * One system in a process of its own, with the script that uses it: `host.js <peer>`. Answers the calls of port.ts over
 * IPC, one at a time, and takes everything down when its parent goes.
 */
import { setClock } from './clock.ts'
import { peers } from './peers/index.ts'
import type { Ability, Place, Running, Work } from './port.ts'

export type Ask =
  | { readonly call: 'start'; readonly with: Place }
  | { readonly call: 'run' | 'watch' | 'gather' | 'fill'; readonly with: Work }
  | { readonly call: 'drain'; readonly with: number }
  | { readonly call: 'version' | 'hold' | 'recover' | 'replay' | 'heartbeats' | 'delays' | 'stop'; readonly with: null }

const [, , name = ''] = process.argv
const found = peers.find(one => one.name === name)
if (found === undefined) throw new Error(`the bench knows no system named ${JSON.stringify(name)}`)
const peer = found
let running: Running | null = null

async function answer(ask: Ask): Promise<unknown> {
  setClock()
  if (ask.call === 'version') return await peer.version()
  if (ask.call === 'start') {
    running = await peer.start(ask.with)
    return { can: abilities(running), scriptPid: process.pid }
  }
  const it = running
  if (it === null) throw new Error(`${name} was asked to ${ask.call} before it was started`)
  switch (ask.call) {
    case 'run':
      return await it.run(ask.with)
    case 'watch':
      return await it.watch?.(ask.with)
    case 'gather':
      return await it.gather?.(ask.with)
    case 'hold':
      return await it.queue?.hold()
    case 'fill':
      return await it.queue?.fill(ask.with)
    case 'drain':
      return await it.queue?.drain(ask.with)
    case 'recover':
      return await it.recover?.()
    case 'replay':
      return await it.replay?.()
    case 'heartbeats':
      return it.heartbeats?.()
    case 'delays':
      return await it.delays?.()
    case 'stop':
      running = null
      return await it.stop()
  }
}

function abilities(it: Running): Ability[] {
  const all: Ability[] = ['watch', 'gather', 'queue', 'recover', 'replay', 'heartbeats', 'delays']
  return all.filter(one => it[one] !== null)
}

/** A daemon that will not end is ended with us by account.c. */
const STOP_MS_MAX = 15_000

process.on('message', (ask: Ask) => {
  void answer(ask).then(
    value => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => {
  setTimeout(() => process.exit(1), STOP_MS_MAX).unref()
  void (running?.stop() ?? Promise.resolve()).catch(() => {}).then(() => process.exit())
})
// Ctrl-C reaches the whole group of processes: the parent decides.
process.on('SIGINT', () => {})
process.send?.({ value: 'ready' })
