/**
 * The page's side of the gateway's socket: comes back by itself when either side was away, and hears everything from the start again then (entries known
 * already are passed over). While a recording is shown it is silent.
 */
import { areAllowed } from './commanding.ts'
import { begin, caughtUp, live, problem, source, take } from './store.ts'
import type { Status } from '../tail.ts'

type Word =
  | { readonly type: 'hello'; readonly instance: string; readonly now: number; readonly commands: boolean }
  | ({ readonly type: 'status'; readonly now: number } & Status)
  | { readonly type: 'caughtUp' }

// A gateway that is restarted is back within a second or two.
const RETRY_MS = 1_000

export function connect(): void {
  if (source.value !== 'live') return
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live`)
  socket.addEventListener('message', ({ data }) => {
    if (source.value !== 'live') return socket.close()
    const text = String(data)
    // Entries begin with {"n": and words with {"type":.
    if (text.startsWith('{"n"')) return take(text)
    hear(JSON.parse(text) as Word)
  })
  socket.addEventListener('close', () => {
    live.value = { ...live.value, isCut: true }
    void askWhy()
    setTimeout(connect, RETRY_MS)
  })
}

/** A socket that is refused says not why. */
async function askWhy(): Promise<void> {
  const response = await fetch('/charts.json', { method: 'HEAD' }).catch(() => null)
  if (response?.status === 401)
    problem.value =
      'The inspector was started again and asks for its token: open this page once with ?token=… at the end of its address, as it was printed.'
}

let known = ''

function hear(word: Word): void {
  switch (word.type) {
    case 'hello':
      known = word.instance
      areAllowed.value = word.commands
      return begin(known)
    case 'status':
      live.value = { ...word, skew: word.now - Date.now(), isCut: false }
      return
    case 'caughtUp':
      caughtUp.value = true
  }
}
