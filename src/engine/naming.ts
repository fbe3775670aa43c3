import { gatherAddress, jobAddress, type Address, type Input } from '../../machines/domain/messages.ts'

/** The jobs and groups a command speaks of. */
export function namedBy(command: Extract<Input, { caller: unknown }>): Address[] {
  switch (command.type) {
    case 'command.processData':
      return [
        ...command.after.map(({ jobId }) => jobAddress(jobId)),
        ...(command.dataId.group === null ? [] : [gatherAddress(command.dataId.group)]),
      ]
    case 'command.abortJob':
      return [jobAddress(command.jobId)]
    case 'command.closeGroup':
      return [gatherAddress(command.group)]
    case 'command.retry':
    case 'command.start':
    case 'command.reload':
    case 'command.enable':
    case 'command.disable':
    case 'command.standby':
    case 'command.exitControl':
    case 'command.setLogLevel':
    case 'command.pause':
    case 'command.resume':
      return []
  }
}
