import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package OCPS came in, found from where this file lies: two levels up in the sources, three in dist. */
export function packageDirectory(): string {
  return found().directory
}

export function packageVersion(): string {
  return found().version
}

function found(): { directory: string; version: string } {
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    try {
      const { name, version = '' } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
        name?: string
        version?: string
      }
      if (name === 'ocps') return { directory, version }
    } catch {
      // None here; one level up.
    }
    if (dirname(directory) === directory) throw new Error('invariant: OCPS does not find its own package.json')
  }
}
