import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { printable } from '../jobFiles/printable.ts'
import { readUntrusted } from '../jobFiles/untrusted.ts'
import type { Ocps } from '../client/index.ts'
import { UserError } from '../userError.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { plain } from './format.ts'
import { examples, withOcps } from './session.ts'

interface LogsOptions {
  readonly follow?: boolean
  readonly stderr?: boolean
}

const CHUNK_BYTES = 1 << 20
const LOOK_EVERY_MS = 300

/** `ocps logs JOB`: what a job wrote. The file is read where OCPS runs; control characters are shown, not obeyed. */
export function addLogs(program: Command): void {
  program
    .command('logs')
    .summary('show what a job wrote')
    .description(
      'Show what the program of a job wrote to standard output. Only on the machine where OCPS runs, or where its work directory is mounted.',
    )
    .argument('<id>', 'as process printed it')
    .option('-f, --follow', 'go on until the job has ended')
    .option('--stderr', 'standard error instead')
    .addHelpText(
      'after',
      examples(`
        ocps logs 20261122-000042
        ocps logs 20261122-000042 --stderr --follow`),
    )
    .action(
      withOcps<[string], LogsOptions>(async ({ ocps, options }, jobId) => {
        const name = options.stderr === true ? 'stderr.log' : 'stdout.log'
        return options.follow === true ? await follow(ocps, jobId, name) : await show(ocps, jobId, name)
      }),
    )
}

async function show(ocps: Ocps, jobId: string, name: string): Promise<ExitCode> {
  print(await place(ocps, jobId), name, 0, new StringDecoder())
  return EXIT.DONE
}

async function follow(ocps: Ocps, jobId: string, name: string): Promise<ExitCode> {
  const decoder = new StringDecoder()
  for (let position = 0; ; ) {
    // Asked before the file is read: what was written until its end is shown.
    const { result, directory } = await ocps.job(jobId)
    if (directory !== null) position = print(await place(ocps, jobId), name, position, decoder)
    if (result !== null) return EXIT.DONE
    await delay(LOOK_EVERY_MS)
  }
}

/** Its directory here. Throws UserError where there is none, or only on another machine. */
async function place(ocps: Ocps, jobId: string): Promise<string> {
  const [{ directory }, { workDir, host }] = await Promise.all([ocps.job(jobId), ocps.status()])
  if (directory === null) throw new UserError(`job ${plain(jobId)} has no files: nothing of it ever ran`)
  const path = join(workDir, directory)
  if (existsSync(path)) return path
  throw new UserError(`there is no directory ${path} on ${hostname()}; ask on ${host}, where OCPS runs`)
}

/** From a position on, as far as there is something; the next position. */
function print(directory: string, name: string, from: number, decoder: StringDecoder): number {
  let position = from
  for (;;) {
    const bytes = readUntrusted(directory, name, position, CHUNK_BYTES)
    if (bytes === null || bytes.length === 0) return position
    process.stdout.write(printable(decoder.write(bytes)))
    position += bytes.length
  }
}
