import '../../src/demo/lifeline.ts'
import { startService, type ServiceOptions } from '../../src/instance/start.ts'
import { UserError } from '../../src/userError.ts'

/*
 * One instance as a process of its own, for tests that kill it: options as JSON in the first argument; says on stdout
 * that it is ready, how it ended, or in one sentence why it does not start. SIGTERM stops it, and so does the end of
 * whoever started it.
 */
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

try {
  const service = await startService(JSON.parse(process.argv[2] ?? '{}') as ServiceOptions)
  process.once('SIGTERM', () => void service.stop())
  say({ ready: true, natsUrl: service.natsUrl, workDir: service.workDir, pid: process.pid })
  say({ ended: (await service.ended).how })
} catch (error) {
  say({ refused: error instanceof Error ? error.message : String(error), isUserError: error instanceof UserError })
  process.exitCode = 1
}
