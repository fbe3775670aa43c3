/**
 * The Chromium that npm brings, for machines that have none: packed in `@sparticuz/chromium` with the few libraries a
 * bare system lacks. Unpacked once (two seconds, 206 MB) beside node_modules' other caches. Promises a browser that has
 * answered `--version`, or null.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export interface Chromium {
  readonly path: string
  readonly env: Readonly<Record<string, string>>
}

const modules = new URL('../../node_modules/', import.meta.url).pathname

// Unpacking shares two cores with whatever else runs.
const UNPACK_MS = 120_000
const VERSION_MS = 30_000

export function bundledChromium(): Chromium | null {
  try {
    const { version } = JSON.parse(readFileSync(join(modules, '@sparticuz/chromium/package.json'), 'utf8')) as {
      version: string
    }
    const folder = join(modules, '.cache', `ocps-chromium-${version}`)
    if (!existsSync(folder)) unpack(folder)
    const chromium = {
      path: join(folder, 'chromium'),
      env: {
        // With the C locale its navigator.language is no language, and nothing that formats numbers works.
        LANG: 'en_US.UTF-8',
        LD_LIBRARY_PATH: join(folder, 'al2023', 'lib'),
        FONTCONFIG_PATH: join(folder, 'fonts'),
      },
    }
    execFileSync(chromium.path, ['--version'], {
      env: { ...process.env, ...chromium.env },
      stdio: 'ignore',
      timeout: VERSION_MS,
    })
    return chromium
  } catch {
    return null
  }
}

/**
 * In a process of its own: the package unpacks into the temporary folder and changes the environment. Two at once do
 * not disturb each other.
 */
function unpack(folder: string): void {
  mkdirSync(join(modules, '.cache'), { recursive: true })
  const aside = mkdtempSync(`${folder}-`)
  const script = `import chromium from '@sparticuz/chromium'; await chromium.executablePath()`
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: modules,
      // The second variable makes the package unpack its libraries, too.
      env: { ...process.env, TMPDIR: aside, AWS_LAMBDA_JS_RUNTIME: 'nodejs22.x' },
      stdio: 'ignore',
      timeout: UNPACK_MS,
    })
    renameSync(aside, folder)
  } catch (error) {
    rmSync(aside, { recursive: true, force: true })
    if (!existsSync(folder)) throw error
  }
}
