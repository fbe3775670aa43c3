import { expect } from 'vitest'
import { decodeCommand } from '../../src/contract/decode.ts'
import { type Night } from '../night.ts'
import { type OnWire } from './wire.ts'

/** What scripts for the Python OCPS send, as the tests begin with it. */

/*
 * execute and abort_job as scripts for the Python OCPS send them (ts_xml OCPS_Commands): how they are understood, what
 * is refused, and what a night with them sounds like on the wire. Numbers are those of the conformance list.
 */
export const OBSID = 'AT_O_20261122_000017'

export const QUERY = "instrument='LATISS' AND exposure=2026112200017"

export const decode = (body: object, instance = 'LATISS') =>
  decodeCommand('execute', new TextEncoder().encode(JSON.stringify(body)), instance)

export const said = (more: object = {}) => ({ pipeline: 'quicklook', data_query: QUERY, ...more })

export function understood(body: object, instance?: string) {
  const decoding = decode(body, instance)
  if (!decoding.ok) throw new Error(decoding.refusal.reason)
  return decoding.command
}

export function refusal(body: object, instance?: string): string {
  const decoding = decode(body, instance)
  if (decoding.ok) throw new Error(`it was understood: ${JSON.stringify(decoding.command)}`)
  expect(decoding.refusal.code).toBe('MALFORMED')
  return decoding.refusal.reason
}

export async function execute(night: Night, more: object = {}): Promise<{ jobId: string; id: string }> {
  const id = `execute-${night.said.length}`
  const ack = await night.command('execute', said(more), { id })
  const jobId = ack?.jobIds[0]
  if (ack?.ack !== 301 || jobId === undefined) throw new Error(`execute was answered ${JSON.stringify(ack)}`)
  return { jobId, id }
}

export function only(wire: readonly OnWire[], subject: string): unknown {
  const found = wire.filter(one => one.subject === subject)
  if (found.length !== 1) throw new Error(`${subject} was heard ${found.length} times`)
  return found[0]?.body
}
