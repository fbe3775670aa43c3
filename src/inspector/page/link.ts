/// <reference lib="dom" />
/**
 * The page's side of the gateway's socket: comes back by itself when either side was away, and goes on with what
 * follows the newest entry it holds, or hears everything again where that is not possible. While a recording is shown
 * it is silent.
 */
import { signal } from '@preact/signals'
import { areAllowed } from './commanding.ts'
import type { Word } from '../live.ts'
import { begin, caughtUp, live, newest, passOver, problem, source, take, tooFarBehind } from './store.ts'

// A gateway that is restarted is back within a second or two.
const RETRY_MS = 1_000

/** This page came from a gateway, so there is something live to go back to. */
export const hasGateway = signal(false)

let socket: WebSocket | null = null
/** Of which journal the page holds entries; '' for none. */
let of = ''
let known = ''

export function connect(): void {
  hasGateway.value = true
  if (source.value !== 'live') return
  const asked = of === '' ? '' : `?of=${encodeURIComponent(of)}&after=${newest()}`
  const opened = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live${asked}`)
  opened.binaryType = 'arraybuffer'
  socket = opened
  let before = Promise.resolve()
  opened.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) => {
    before = hearAfter(before, data, opened)
  })
  opened.addEventListener('close', ({ reason }) => {
    if (socket !== opened) return
    socket = null
    live.value = { ...live.value, isCut: true, problem: reason }
    void askWhy()
    setTimeout(() => socket === null && connect(), RETRY_MS)
  })
}

/** From a recording back to what is live. */
export function goLive(): void {
  source.value = 'live'
  forget()
  begin(known)
  connect()
}

function forget(): void {
  of = ''
  const old = socket
  socket = null
  old?.close()
}

/** Inflating takes a moment; what came later waits for it. */
async function hearAfter(before: Promise<void>, data: string | ArrayBuffer, from: WebSocket): Promise<void> {
  const text = typeof data === 'string' ? data : await inflated(data)
  await before
  if (socket !== from || source.value !== 'live') return
  try {
    heard(text)
  } catch (error) {
    problem.value = `What the inspector sent cannot be read (${error instanceof Error ? error.message : String(error)}); page and inspector are of different versions. Load the page again.`
  }
}

function heard(text: string): void {
  // Entries begin with {"n": and words with {"type":.
  if (!text.startsWith('{"n"')) return hear(JSON.parse(text) as Word)
  take(text)
  // Nothing in sight to go on from, and memory has an end.
  if (!tooFarBehind()) return
  forget()
  setTimeout(() => socket === null && connect(), RETRY_MS)
}

async function inflated(data: ArrayBuffer): Promise<string> {
  return await new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate-raw'))).text()
}

/** A socket that is refused says not why. */
async function askWhy(): Promise<void> {
  const response = await fetch('/charts.json', { method: 'HEAD' }).catch(() => null)
  if (response?.status === 401)
    problem.value =
      'The inspector was started again and asks for its token: open this page once with ?token=… at the end of its address, as it was printed.'
}

function hear(word: Word): void {
  switch (word.type) {
    case 'hello':
      known = word.instance
      of = word.of
      areAllowed.value = word.commands
      if (!word.isResumed) begin(known)
      return
    case 'status':
      live.value = { ...word, skew: word.now - Date.now(), isCut: false }
      return
    case 'caughtUp':
      caughtUp.value = true
      return take('')
    case 'skipped':
      passOver(word.from, word.to)
  }
}
