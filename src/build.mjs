/**
 * `npm run build`: compiles to dist/ and builds the inspector's page, or does nothing when nothing has changed since
 * the last time, so that `npm start` starts at once. Says on standard error what it does; `--force` builds in any case.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = join(root, 'dist', '.built')
const fingerprint = fingerprintOf(['package-lock.json', 'tsconfig.json', 'machines', 'src', 'test'])

if (process.argv.includes('--force') || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== fingerprint) {
  process.stderr.write('Building OCPS, about ten seconds …\n')
  // A build that fails half-way is no build.
  rmSync(stamp, { force: true })
  run('tsc', '-p', 'tsconfig.json')
  chmodSync(join(root, 'dist/src/cli/main.js'), 0o755)
  run('vite', 'build', '--config', 'src/inspector/page/vite.config.ts', '--logLevel', 'warn')
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(stamp, fingerprint)
}

function run(program, ...args) {
  const { status, error } = spawnSync(join(root, 'node_modules', '.bin', program), args, { cwd: root, stdio: 'inherit' })
  if (error) process.stderr.write(`${program}: ${error.message}; run "npm ci" first\n`)
  if (status !== 0) process.exit(status ?? 1)
}

/** Of every file's path, size and time of change. */
function fingerprintOf(parts) {
  const hash = createHash('sha1')
  for (const part of parts) note(join(root, part))
  return hash.digest('hex')

  function note(path) {
    const { mtimeMs, size } = statSync(path)
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) note(join(path, name))
    else hash.update(`${path} ${size} ${mtimeMs}\n`)
  }
}
