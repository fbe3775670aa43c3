// What the demo needs around it and leaves behind: a directory with its own configuration, and signals that ask it to
// end.

import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { packageRoot } from '../instance/versions.ts'

/** What `start` names. */
export const OVERRIDE = 'demo.yaml'

/** The package's configuration and an override that says where this telescope's files are. Returns the directory. */
export async function writeConfiguration(directory: string, raw: string): Promise<string> {
  const config = join(directory, 'config')
  await mkdir(raw, { recursive: true })
  await cp(join(packageRoot, 'config'), config, { recursive: true })
  await writeFile(
    join(config, OVERRIDE),
    stringify({ dataPath: join(raw, '{obsid}.fits'), display: [{ view: 'newest', dataset: 'preview' }] }),
  )
  return config
}

/**
 * Of a directory nobody asked for only what somebody may want to look at stays: frames, images, and the jobs' own
 * directories.
 */
export async function tidy(directory: string, everything: boolean): Promise<void> {
  const paths = everything ? [directory] : ['nats', 'cache', 'config'].map(name => join(directory, name))
  // A file more among the temporary ones is not worth a failure.
  for (const path of paths) await rm(path, { recursive: true, force: true }).catch(() => {})
}

/** The first signal asks for an orderly end, the second ends at once. */
export function onSignal(stop: () => void): { forget(): void } {
  let asked = false
  const heard = (): void => {
    if (asked) process.exit(130)
    asked = true
    stop()
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, heard)
  return {
    forget() {
      for (const signal of signals) process.off(signal, heard)
    },
  }
}
