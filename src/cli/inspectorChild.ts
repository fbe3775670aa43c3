/**
 * The inspector beside an instance, as a process of its own: however slow a page is, the engine does not notice. Ends
 * with the process that started it. Where it cannot listen it says so itself on standard error, and the instance goes
 * on without it.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { toEnvironment } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { TOKEN_VARIABLE } from './inspectOptions.ts'
import type { InspectorAddress } from './inspectorAddress.ts'

export interface InspectorChild {
  /** null: it did not come up. */
  readonly url: string | null
  stop(): void
}

// It draws the charts first: a second, ten times that on a machine with too much to do. An instance does not wait
// longer than this for its page.
const UP_MS = 30_000

export async function startInspector(options: {
  instance: string
  nats: NatsSettings
  address: InspectorAddress
  allowCommands: boolean
}): Promise<InspectorChild> {
  const { instance, nats, address, allowCommands } = options
  const { port, host, names, token, isNewToken } = address
  const [, program = ''] = process.argv
  const args = ['inspect', '--instance', instance, '--port', String(port), '--host', host]
  if (allowCommands) args.push('--allow-commands')
  if (names.length > 0) args.push('--host-name', ...names)
  const child = fork(program, args, {
    // The URL may hold a password and the token is one, which a list of processes would show.
    env: { ...process.env, ...toEnvironment(nats), ...(token !== null && { [TOKEN_VARIABLE]: token }) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const url = await Promise.race([
    once(child, 'message').then(([word]) => (word as { url: string }).url),
    once(child, 'exit').then(() => null),
    delay(UP_MS, null, { ref: false }),
  ])
  letGo(child)
  // To the child every token was given; who is told the address has to be told one that was made here.
  const asked = isNewToken && token !== null ? `?token=${token}` : ''
  return { url: url && `${url}${asked}`, stop: () => void child.kill('SIGTERM') }
}

/** It ends when we do, so it must not be what keeps us. */
function letGo(child: ChildProcess): void {
  child.unref()
  child.channel?.unref()
}
