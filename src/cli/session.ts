import type { Command } from 'commander'
import { connectThrough, defaultIdentity } from '../client/connecting.ts'
import type { Ocps } from '../client/ocps.ts'
import { serversOf } from '../client/servers.ts'
import type { Loaded } from '../settings/load.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { createOutput, type Output } from './output.ts'

export { examples } from './examples.ts'

/**
 * What every verb needs: the options all verbs share, and for most a connected client that is closed again whatever
 * happens. Ctrl-C closes it, once; a second one ends the process at once.
 */
export interface SharedOptions {
  readonly instance: string
  readonly loaded: Loaded
  readonly identity?: string
  readonly json?: boolean
}

export interface Session<O> {
  readonly ocps: Ocps
  readonly out: Output
  readonly options: O & SharedOptions
}

type Run<A extends readonly unknown[], O> = (session: Session<O>, ...args: A) => Promise<ExitCode | void>

/** The action of a verb that talks to an instance. `A` are its arguments and `O` its options, as declared beside it. */
export function withOcps<A extends readonly unknown[], O = object>(run: Run<A, O>) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command
    const options = command.optsWithGlobals<O & SharedOptions>()
    const out = createOutput(options.json === true)
    const { instance, loaded, identity = defaultIdentity() } = options
    const ocps = await connectThrough(serversOf(loaded.settings.nats, instance), { instance, identity })
    let interrupted = false
    const interrupt = () => {
      if (interrupted) process.exit(EXIT.INTERRUPTED)
      interrupted = true
      void ocps.close()
    }
    process.on('SIGINT', interrupt)
    process.on('SIGTERM', interrupt)
    try {
      const code = await run({ ocps, out, options }, ...(command.processedArgs as unknown as A))
      process.exitCode = code ?? EXIT.DONE
    } catch (error) {
      if (!interrupted) throw error
      process.exitCode = EXIT.INTERRUPTED
    } finally {
      await ocps.close()
      process.off('SIGINT', interrupt)
      process.off('SIGTERM', interrupt)
    }
  }
}
