import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UserError } from '../userError.ts'
import { packageDirectory } from './package.ts'

/**
 * Where the configuration is: what was named, else ./config if it is one, else the one that comes with OCPS. Throws
 * UserError.
 */
export function configurationDirectory(given: string | null): string {
  const dir = resolve(
    given ?? (existsSync(join('config', '_init.yaml')) ? 'config' : join(packageDirectory(), 'config')),
  )
  if (!existsSync(join(dir, '_init.yaml')))
    throw new UserError(`there is no _init.yaml in ${dir}; name the configuration's directory with --config`)
  return dir
}
