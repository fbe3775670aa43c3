import { describe, expect, test } from 'vitest'
import { hasCredentials, masked, shownUrl, withToken } from '../../src/bus/serverUrl.ts'
import { silentLog } from '../../src/log.ts'
import { checkServer, promiseOf } from '../../src/instance/serverPromise.ts'

const server = (version: string, isLoopbackOnly = true) => ({
  url: 'nats://nats.example:4222',
  version,
  maxPayload: 1,
  isLoopbackOnly,
})

function check(version: string, { isLoopbackOnly = true, stated = null as 'power' | null, allowOld = false } = {}) {
  const warned: string[] = []
  const log = { ...silentLog, warn: (_: object, sentence: string) => void warned.push(sentence) }
  checkServer(server(version, isLoopbackOnly), { stated, allowOld, log })
  return warned
}

describe('a server that is named', () => {
  test('survives what its operator states, and for certain only a process', () => {
    const promised = (version: string, stated: 'power' | 'process' | null) => {
      const { promise, survives } = promiseOf(null, server(version), stated)
      return [promise, survives]
    }
    expect(promised('2.15.1', null)).toEqual(['as the server is configured', 'process'])
    expect(promised('2.15.1', 'power')).toEqual(['power-safe', 'power'])
    expect(promised('2.15.1', 'process')).toEqual(['process-crash-safe', 'process'])
    expect(promised('2.9.10', null)).toEqual(['process-crash-safe', 'process'])
  })

  test('older than 2.10 is told about at start', () => {
    expect(check('2.10.0', { isLoopbackOnly: false })).toEqual([])
    expect(check('2.9.25')).toEqual([
      expect.stringContaining('nats-server 2.9.25 at nats://nats.example:4222 is older'),
    ])
  })

  test('older than 2.10 is refused where other machines reach it, unless that is allowed', () => {
    expect(() => check('2.9.25', { isLoopbackOnly: false })).toThrow('--allow-old-server')
    expect(check('2.9.25', { isLoopbackOnly: false, allowOld: true })).toHaveLength(1)
  })

  test('older than 2.10 is refused where it is stated to survive a loss of power', () => {
    expect(() => check('2.9.25', { stated: 'power' })).toThrow('--promise process')
  })
})

describe('the URL of a server', () => {
  test('is shown without user, password and token', () => {
    expect(shownUrl('nats://vera:s3cret@nats.example')).toBe('nats://nats.example:4222')
    expect(shownUrl('s3cret@nats.example:1')).toBe('nats://nats.example:1')
    expect(shownUrl('tls://vera:s3%40cret@nats.example:1')).toBe('tls://nats.example:1')
    expect(hasCredentials(withToken('nats://127.0.0.1:1', 's3cret'))).toBe(true)
  })

  test('that is none is named without what may be a secret', () => {
    for (const text of ['http://vera:s3cret@nats.example', 'vera:s3@cret@nats .example']) {
      expect(() => shownUrl(text)).toThrow('is not of the form')
      expect(() => shownUrl(text)).not.toThrow('s3')
    }
    expect(masked('--url=nats://vera:s3cret@nats.example')).toBe('--url=nats://…@nats.example')
    expect(masked('user@host')).toBe('…@host')
  })
})
