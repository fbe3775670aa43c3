/**
 * A process that owns an embedded server, to be killed by a test: starts it on the store named, says so on one line,
 * and waits.
 */
import { startEmbeddedServer } from '../../src/bus/embedded.ts'

const storeDir = process.argv[2] ?? ''
const { pid, url } = await startEmbeddedServer({ storeDir })
console.log(JSON.stringify({ pid, url }))
setInterval(() => {}, 60_000)
