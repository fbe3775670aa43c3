import { expect, onTestFinished, test } from 'vitest'
import { type Answer, listen, text, type HttpAddress } from '../../src/http/listener.ts'
import { startService } from '../../src/instance/start.ts'
import { eventually } from '../bus/eventually.ts'
import { makePlace, optionsFor, startInstance } from '../conformance/instance.ts'
import { isUp, startServer } from '../recovery/surroundings.ts'

/* The HTTP address of an instance: what it answers, to whom, and what it says while NATS is away. */

const LOOPBACK: HttpAddress = { host: '127.0.0.1', port: 0, token: null }

test('jobs are counted, and a ready instance says so', async () => {
  const running = await startInstance({ http: LOOPBACK })
  onTestFinished(() => running.stop())
  const get = asker(running.service.httpPort)
  const { wire } = running
  for (const pipeline of ['true', 'true', 'fail']) {
    const { jobIds } = await wire.command('processData', { dataId: { obsid: 'AT_O_20261122_000017' }, pipeline })
    await wire.result(jobIds[0])
  }
  const { body } = await get('/metrics')
  expect(body).toContain('ocps_jobs_settled_total{outcome="succeeded",instance="LATISS"} 2')
  expect(body).toContain('ocps_jobs_settled_total{outcome="failed",instance="LATISS"} 1')
  expect(body).toContain('ocps_summary_state{state="ENABLED",instance="LATISS"} 1')
  expect(await get('/health/live')).toEqual({ status: 200, body: 'alive\n' })
  expect(await get('/health/ready')).toEqual({ status: 200, body: 'ready\n' })
})

test('without its NATS server it is alive and not ready; with the server again it is ready again', async () => {
  const place = makePlace()
  onTestFinished(() => place.remove())
  const server = await startServer(place.dir)
  onTestFinished(() => server.kill())
  await isUp(server)
  const service = await startService(optionsFor(place, { natsUrl: server.url, http: LOOPBACK }))
  onTestFinished(() => service.stop())
  const get = asker(service.httpPort)
  expect((await get('/health/ready')).status).toBe(200)
  await server.kill()
  await eventually('it is not ready', async () => (await get('/health/ready')).status === 503)
  expect((await get('/health/ready')).body).toMatch(/^not ready: /)
  expect((await get('/health/live')).status).toBe(200)
  server.start()
  await eventually('it is ready again', async () => (await get('/health/ready')).status === 200)
})

test('what is not there, not read, or asked without the token is refused with a sentence', async () => {
  const listener = await listen(
    { ...LOOPBACK, token: 'a-long-enough-token' },
    new Map<string, () => Answer | Promise<Answer>>([
      ['/here', () => text(200, 'here')],
      ['/broken', () => Promise.reject(new Error('no such luck'))],
    ]),
  )
  onTestFinished(() => listener.close())
  const get = asker(listener.port)
  const headers = { authorization: 'Bearer a-long-enough-token' }
  expect((await get('/here')).status).toBe(401)
  expect((await get('/here', { headers: { authorization: 'Bearer another' } })).status).toBe(401)
  expect(await get('/here?x=1', { headers })).toEqual({ status: 200, body: 'here\n' })
  expect(await get('/there', { headers })).toEqual({
    status: 404,
    body: 'there is no /there here; there are /here, /broken\n',
  })
  expect((await get('/here', { method: 'POST', body: 'x', headers })).status).toBe(405)
  expect(await get('/broken', { headers })).toEqual({ status: 500, body: 'it failed inside OCPS: no such luck\n' })
  await expect(listen({ ...LOOPBACK, port: listener.port }, new Map())).rejects.toThrow('cannot be listened on')
})

function asker(port: number | null) {
  return async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: response.status, body: await response.text() }
  }
}
