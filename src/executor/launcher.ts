/**
 * The launcher process as OCPS holds it: built when first needed, started, spoken to in batches, noticed when it dies.
 * launcher.c is compiled once into the cache directory; without a C compiler launcher.pl does the same at about half
 * the speed. What the answers mean is left to subprocess.ts.
 */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isStopped } from '../processes.ts'
import { awakeRequest, parseSaid, type LauncherMessage } from './protocol.ts'

export type LauncherKind = 'c' | 'fallback'

export interface Launcher {
  readonly pid: number
  /** From now on it starts nothing and ends with its last job; what is said of it stands in the ledger. */
  retire(): void
  /** Goes out with everything else of this turn of the event loop in one write. */
  send(request: string): void
  /** Lets go: the launcher stays until its last job has ended. */
  close(): Promise<void>
}

export interface LauncherOptions {
  readonly command: readonly string[]
  readonly ledgerDir: string
  /** In order. */
  readonly hear: (said: LauncherMessage) => void
  /** The launcher is gone, though not closed; all it said has been heard. */
  readonly died: (reason: string) => void
  /** A signal stopped it; its owner retires it. */
  readonly wasStopped: () => void
}

/** A launcher answers within milliseconds; a machine that swaps may take seconds. */
const HELLO_MS_MAX = 10_000
/** How often a launcher is asked whether it is there. */
const WATCH_MS = 1_000
/**
 * Looks without a word from it, after which it is given up: a start blocks it for as long as exec takes, a second or
 * two from a slow file system. Looks, not seconds: an OCPS that was itself frozen has not looked.
 */
const SILENT_LOOKS_MAX = 10
/**
 * A launcher that is stopped has a full pipe and hears no farewell; what it did not read is looked up in the ledger.
 */
const FAREWELL_MS_MAX = 2_000
/** A compiler takes 0.3 s; on a machine that swaps, more. */
const COMPILE_MS_MAX = 60_000

/**
 * The command that runs the launcher; for kind c it is compiled if it has not been. Rejects with a sentence where that
 * is impossible.
 */
export async function launcherCommand(kind: LauncherKind, cacheDir: string): Promise<readonly string[]> {
  const folder = sourceFolder()
  if (kind === 'fallback') return ['perl', join(folder, 'launcher.pl')]
  const source = join(folder, 'launcher.c')
  const hash = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16)
  const binary = join(cacheDir, `launcher-${process.platform}-${process.arch}-${hash}`)
  if (!existsSync(binary)) {
    const unfinished = `${binary}.${process.pid}.${Date.now()}`
    await mkdir(cacheDir, { recursive: true })
    await promisify(execFile)('cc', ['-O2', '-o', unfinished, source], { timeout: COMPILE_MS_MAX }).catch(
      (error: unknown) => {
        throw new Error(`The launcher could not be compiled with cc: ${message(error)}`)
      },
    )
    await rename(unfinished, binary)
  }
  return [binary]
}

/** Starts a launcher; resolves when it has said hello. */
export function openLauncher({ command, ledgerDir, hear, died, wasStopped }: LauncherOptions): Promise<Launcher> {
  const [program = '', ...args] = command
  // detached: a session of its own, so that what ends OCPS (a closed terminal, a signal to its group) does not end the
  // jobs.
  const child = spawn(program, [...args, ledgerDir], { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  let waiting: string[] = []
  let closed = false
  let rest = ''

  const flush = (): void => {
    const batch = waiting.join('')
    waiting = []
    if (!closed && child.stdin.writable) child.stdin.write(batch)
  }
  const close = (): Promise<void> =>
    new Promise(resolve => {
      if (waiting.length > 0) flush()
      closed = true
      clearInterval(watch)
      child.unref()
      const leave = (): void => {
        clearTimeout(tooLong)
        child.stdin.destroy()
        child.stdout.destroy()
        resolve()
      }
      const tooLong = setTimeout(leave, FAREWELL_MS_MAX)
      child.stdin.end(leave)
    })

  let watch: NodeJS.Timeout | undefined
  let silentLooks = 0
  /** `giveUp` is told why. */
  const startWatching = (self: { pid: number; startTime: number }, giveUp: (reason: string) => void): void => {
    watch = setInterval(() => {
      silentLooks += 1
      if (silentLooks > SILENT_LOOKS_MAX) {
        child.kill('SIGKILL')
        giveUp(`it did not answer for ${SILENT_LOOKS_MAX} s`)
      } else if (silentLooks > 1 && isStopped(self)) {
        clearInterval(watch)
        wasStopped()
      } else if (waiting.length === 0 && child.stdin.writable && !child.stdin.writableNeedDrain)
        child.stdin.write(awakeRequest())
    }, WATCH_MS)
    watch.unref()
  }

  return new Promise((resolve, reject) => {
    const tooLate = setTimeout(() => gone(`said nothing for ${HELLO_MS_MAX} ms`), HELLO_MS_MAX)
    let greeted = false
    const gone = (reason: string): void => {
      clearTimeout(tooLate)
      clearInterval(watch)
      if (closed) return
      closed = true
      child.stdin.destroy()
      child.stdout.destroy()
      if (!greeted) child.kill('SIGKILL')
      if (greeted) died(reason)
      else reject(new Error(`The launcher ${program} did not start: ${reason}`))
    }
    const heard = (said: LauncherMessage): void => {
      if (said.kind === 'hello') {
        clearTimeout(tooLate)
        greeted = true
        startWatching(said, gone)
        resolve({
          pid: said.pid,
          retire: () => {
            child.kill('SIGURG')
            // Stopped, it hears the former only now.
            child.kill('SIGCONT')
            void close()
          },
          send: request => {
            if (waiting.length === 0) process.nextTick(flush)
            waiting.push(request)
          },
          close,
        })
      } else if (said.kind !== 'awake') hear(said)
    }
    // A request that cannot be written is found again when the launcher is noticed to be gone.
    child.stdin.on('error', () => {})
    child.on('error', error => gone(error.message))
    child.on('close', (code, signal) => gone(signal === null ? `exit code ${code}` : signal))
    child.stdout.setEncoding('latin1')
    child.stdout.on('data', (text: string) => {
      silentLooks = 0
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const said = closed ? null : parseSaid(line)
        if (said) heard(said)
      }
    })
  })
}

/** Also from `dist`: the compiler of TypeScript copies no C. */
function sourceFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'src/executor/launcher.c'))) {
    const above = dirname(folder)
    if (above === folder)
      throw new Error('src/executor/launcher.c is missing from the installation of OCPS; install it again.')
    folder = above
  }
  return join(folder, 'src/executor')
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
