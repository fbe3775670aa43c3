import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedServer } from '../../src/bus/embedded.ts'
import { connectNats } from '../../src/bus/nats.ts'
import { keepsTheBusContract } from './contract.ts'

keepsTheBusContract('over NATS', async () => {
  const storeDir = await mkdtemp(join(tmpdir(), 'ocps-nats-'))
  const server = await startEmbeddedServer({ storeDir })
  return {
    connect: async name => await connectNats({ url: server.url, name }),
    close: async () => {
      await server.stop()
      await rm(storeDir, { recursive: true })
    },
  }
})
