import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MACHINES_VERSION } from '../../machines/index.ts'

export const packageRoot = findPackageRoot()

/** What is running: into the journal, the event softwareVersions and the answer to `state`. */
export function versionsHere() {
  return {
    ocps: versionIn(join(packageRoot, 'package.json')),
    xstate: versionIn(fileURLToPath(import.meta.resolve('xstate/package.json'))),
    node: process.versions.node,
    machines: MACHINES_VERSION,
  }
}

function versionIn(path: string): string {
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}

function findPackageRoot(): string {
  for (let dir = fileURLToPath(new URL('.', import.meta.url)); ; dir = resolve(dir, '..')) {
    try {
      const { name } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { name?: string }
      if (name === 'ocps') return dir
    } catch {
      if (resolve(dir, '..') === dir) throw new Error('invariant: OCPS does not find its own package.json')
    }
  }
}
