/**
 * Keeps one launcher running: chooses the kind at the beginning, starts another when one dies, holds requests
 * meanwhile. It gives up on requests only when launchers keep dying before they answer anything.
 */
import { type Launcher, type LauncherKind, launcherCommand, openLauncher } from './launcher.ts'
import type { LauncherMessage } from './protocol.ts'
import type { Log } from '../log.ts'

export interface SupervisedLauncher {
  send(request: string): void
  /** Null while there is none. */
  pid(): number | null
  close(): Promise<void>
}

export interface SuperviseOptions {
  /** Null: c if possible, else the fallback. */
  readonly kind: LauncherKind | null
  readonly cacheDir: string
  readonly ledgerDir: string
  readonly log: Log
  readonly hear: (said: LauncherMessage) => void
  /**
   * Another OCPS may have told our launcher to start nothing more, and gone again; where we are still the active one
   * another launcher is started.
   */
  readonly whenActive: (act: () => void) => void
  /**
   * Called after all it said has been heard; requests sent from within go to the next one. True where it had begun
   * jobs: so it works, though it may not have come to saying so.
   */
  readonly died: (pid: number, reason: string) => boolean
  /** Requests that were waiting are dropped. */
  readonly hopeless: (reason: string) => void
}

/**
 * One may be killed by hand and the next by the system short of memory; a third in a row that says nothing will not be
 * cured by a fourth.
 */
const SILENT_DEATHS_MAX = 3

/**
 * Whoever listens hears of a replaced launcher as a log message of level ERROR, not as the event errorCode: that one is
 * salobj's reason for FAULT and is published in no other state, and a launcher that was replaced holds up nothing.
 */
export async function superviseLauncher(options: SuperviseOptions): Promise<SupervisedLauncher> {
  const { log } = options
  let launcher: Launcher | null = null
  let waiting: string[] = []
  let silentDeaths = 0
  let closed = false
  let opening: Promise<void> | null = null

  const open = async (command: readonly string[]): Promise<void> => {
    const opened = await openLauncher({
      command,
      ledgerDir: options.ledgerDir,
      hear: said => {
        silentDeaths = 0
        if (said.kind === 'deaf')
          setImmediate(() => options.whenActive(() => retire(opened, 'another OCPS told it to start nothing more')))
        else options.hear(said)
      },
      died: reason => {
        launcher = null
        log.error({ reason, pid: opened.pid }, `the launcher died (${reason}); another one is started`)
        silentDeaths = options.died(opened.pid, reason) ? 0 : silentDeaths + 1
        reopen()
      },
      wasStopped: () => retire(opened, 'it was stopped by a signal'),
    })
    if (closed) return opened.close()
    launcher = opened
    for (const request of waiting) opened.send(request)
    waiting = []
  }

  /** It goes on until its last job has ended, and the ledger tells of those. */
  const retire = (old: Launcher, reason: string): void => {
    if (launcher !== old || closed) return
    launcher = null
    log.error({ reason, pid: old.pid }, `the launcher goes on with its jobs only: ${reason}; another one is started`)
    old.retire()
    options.died(old.pid, reason)
    reopen()
  }

  const reopen = (): void => {
    if (opening || launcher || closed) return
    opening = openAgain().finally(() => {
      opening = null
    })
  }
  const openAgain = async (): Promise<void> => {
    for (let problem = ''; ; ) {
      if (silentDeaths >= SILENT_DEATHS_MAX) {
        silentDeaths = 0
        waiting = []
        options.hopeless(`The launcher cannot be kept running (${problem || 'it died again and again'}); see the log.`)
        return
      }
      try {
        return await open(command)
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error)
        silentDeaths += 1
        log.error({ problem }, 'no launcher could be started')
      }
    }
  }

  let command: readonly string[] = []
  const first = async (kind: LauncherKind): Promise<void> => {
    command = await launcherCommand(kind, options.cacheDir)
    await open(command)
  }
  if (options.kind !== null) await first(options.kind)
  else
    await first('c').catch(async (error: unknown) => {
      log.warn({ problem: String(error) }, 'the launcher in C cannot be used; the slower one in Perl is tried')
      await first('fallback')
    })

  return {
    send: request => {
      if (launcher) return launcher.send(request)
      waiting.push(request)
      reopen()
    },
    pid: () => launcher?.pid ?? null,
    close: async () => {
      closed = true
      await opening
      await launcher?.close()
    },
  }
}
