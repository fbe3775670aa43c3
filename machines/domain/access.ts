import type { Caller, Command } from './commands.ts'
import { type Role, ROLES } from './roles.ts'

/**
 * Which role may send which command. A caller without roles comes from a server that proves nothing about its users,
 * and may send everything, as before there were roles.
 */
/**
 * The least role for each command; a role includes those before it. `execute` and `abort_job` are processData and
 * abortJob.
 */
export const LEAST_ROLE: Readonly<Record<Command['type'], Role>> = {
  'command.processData': 'script',
  'command.closeGroup': 'script',
  'command.retry': 'script',
  'command.abortJob': 'script',
  'command.start': 'operator',
  'command.reload': 'operator',
  'command.enable': 'operator',
  'command.disable': 'operator',
  'command.standby': 'operator',
  'command.pause': 'operator',
  'command.resume': 'operator',
  'command.setLogLevel': 'operator',
  // It ends the process, and only someone with access to the machine can start it again.
  'command.exitControl': 'admin',
}

export function isPermitted({ roles }: Pick<Caller, 'roles'>, command: Command['type']): boolean {
  if (roles === undefined) return true
  const least = ROLES.indexOf(LEAST_ROLE[command])
  return roles.some(role => ROLES.indexOf(role) >= least)
}
