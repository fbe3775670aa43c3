/**
 * What `ocps top` does: follows the journal as the inspector does, folds it, and draws it again and again. Appends
 * nothing and asks for nothing. Goes on while OCPS or its server is away, and leaves the terminal as it found it,
 * however it ends.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { startTail, type Tail } from '../night/tail.ts'
import { shown } from '../jobFiles/printable.ts'
import { EXIT } from './exitCodes.ts'
import { complain, createOutput, type Output } from './output.ts'
import { serverOf } from './recording.ts'
import type { TopOptions } from './topOptions.ts'
import { topFacts } from './topFacts.ts'
import { createFollower, type Follower } from './topFollower.ts'
import { type Size, topScreen } from './topScreen.ts'

// A server that is there answers within a second; a long journal takes some more to read.
const READ_MS = 20_000
const CONNECT_MS = 3_000
// A heartbeat comes every second.
const HEARTBEAT_MS = 1_500
// Where there is no screen nothing is cut but what nobody would read.
const PAPER: Size = { columns: Number.POSITIVE_INFINITY, rows: 200 }
const LOOK_MS = 50

export async function top(options: TopOptions): Promise<void> {
  const { instance, iterations, json = false } = options
  const out = createOutput(json)
  const stopping = new AbortController()
  const stop = () => stopping.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop)
  const tail = startTail({ instance, nats: () => serverOf(options) })
  const follower = createFollower(instance, tail)
  try {
    if (iterations === undefined && !json && process.stdout.isTTY) await show(options, tail, follower, out, stopping)
    else process.exitCode = await print(options, tail, follower, out, stopping.signal)
  } finally {
    await tail.close()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, stop)
  }
}

/** For a file, a pipe, or whoever wants it so many times: plain lines, or documents. */
async function print(
  { iterations = 1, delay: seconds }: TopOptions,
  tail: Tail,
  follower: Follower,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  await until(
    () => tail.status.link === 'connected' && tail.caughtUp,
    () => (tail.lines.length > 0 ? READ_MS : CONNECT_MS),
    signal,
  )
  if (signal.aborted) return EXIT.INTERRUPTED
  if (!tail.caughtUp) {
    complain(tail.status.problem)
    return EXIT.NO_ANSWER
  }
  await until(
    () => tail.status.heartbeatAt !== null,
    () => HEARTBEAT_MS,
    signal,
  )
  for (let time = 1; !signal.aborted; time++) {
    await follower.catchUp(signal)
    const facts = topFacts(follower.night, tail.status, Date.now())
    const size = process.stdout.isTTY ? { columns: process.stdout.columns, rows: PAPER.rows } : PAPER
    const lines = topScreen(facts, size, { paint: out.paint, hasBlocks: hasBlocks() })
    out.say([...lines, ...(follower.problem === '' ? [] : [follower.problem])].join('\n'), facts)
    if (time >= iterations) return EXIT.DONE
    if (!out.json) process.stdout.write('\n')
    await delay(seconds * 1_000, undefined, { signal }).catch(() => {})
  }
  return EXIT.INTERRUPTED
}

// In raw mode Ctrl-C and Ctrl-D are keys like any other.
const ENDING: ReadonlySet<string> = new Set(['q', 'Q', '\u0003', '\u0004'])
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const REST_OF_LINE = '\u001b[K'
const REST_OF_SCREEN = '\u001b[J'

/** On a terminal: the whole screen, until q. */
async function show(
  { delay: seconds }: TopOptions,
  tail: Tail,
  follower: Follower,
  out: Output,
  stopping: AbortController,
): Promise<void> {
  const { stdin, stdout } = process
  const { signal } = stopping
  let isOver = false
  const leave = () => {
    if (isOver) return
    isOver = true
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
    stdout.write(LEAVE)
  }
  const hear = (keys: Buffer) => {
    if (ENDING.has(keys.toString('latin1'))) stopping.abort()
  }
  const draw = () => {
    if (isOver) return
    const facts = topFacts(follower.night, tail.status, Date.now())
    // A terminal that does not know its size says 0.
    const rows = stdout.rows || 24
    // Erasing the rest of a line that is full would erase its last character.
    const columns = (stdout.columns || 80) - 1
    const lines = topScreen(facts, { columns, rows: rows - 1 }, { paint: out.paint, hasBlocks: hasBlocks() })
    const foot = follower.problem === '' ? (tail.caughtUp ? 'q ends' : 'reading the journal…') : follower.problem
    const padded = [...lines, ...Array.from({ length: Math.max(0, rows - 1 - lines.length) }, () => '')]
    const text = [...padded, out.paint('faint', foot.slice(0, columns))]
      .map(line => shown(line) + REST_OF_LINE)
      .join('\r\n')
    stdout.write(HOME + text + REST_OF_SCREEN)
  }
  process.once('exit', leave)
  stdout.write(ENTER)
  stdout.on('resize', draw)
  if (stdin.isTTY) stdin.setRawMode(true)
  stdin.on('data', hear)
  try {
    draw()
    while (!signal.aborted) {
      const wasRead = tail.caughtUp
      await follower.catchUp(signal)
      draw()
      // The first look at the night is not to wait for its turn.
      if (wasRead) await delay(seconds * 1_000, undefined, { signal }).catch(() => {})
      else
        await until(
          () => tail.caughtUp,
          () => seconds * 1_000,
          signal,
        )
    }
  } finally {
    leave()
    stdin.off('data', hear)
    stdout.off('resize', draw)
    process.off('exit', leave)
  }
}

/** Returns when it is so, or when the time that is given for it is over. */
async function until(isSo: () => boolean, limitMs: () => number, signal: AbortSignal): Promise<void> {
  const from = performance.now()
  while (!isSo() && !signal.aborted && performance.now() - from < limitMs())
    await delay(LOOK_MS, undefined, { signal }).catch(() => {})
}

/** A terminal that says it speaks UTF-8, or says nothing, shows blocks. */
function hasBlocks(): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = process.env
  const locale = LC_ALL || LC_CTYPE || LANG || 'UTF-8'
  return /utf-?8/i.test(locale)
}
