import { describe, expect, it } from 'vitest'
import { fitting } from '../../src/contract/fit.ts'

/*
 * What is larger than one message of the server is shortened, not lost.
 */
const MIB = 2 ** 20
const member = (index: number) => ({
  identity: `AT_O_20261122_${index}`,
  pipeline: 'quicklook',
  jobId: `20261122-${index}`,
  outcome: 'succeeded',
})
const members = (count: number) => Array.from({ length: count }, (_, index) => member(index))

describe('fitting', () => {
  it('a result that fits is said as it is', () => {
    const body = { group: 'G', outcome: 'complete', members: members(189) }
    expect(JSON.parse(fitting(body, MIB))).toEqual(body)
  })

  it('of a group of 20 000 members the first are said, and how many there were; the rest of the result is whole', () => {
    const metrics = [{ metric: 'stack.members', value: 20_000, unit: '' }]
    const text = fitting({ group: 'G', outcome: 'complete', members: members(20_000), metrics }, MIB)
    expect(Buffer.byteLength(text)).toBeLessThan(MIB)
    const said = JSON.parse(text) as { members: unknown[] }
    expect(said).toMatchObject({ group: 'G', outcome: 'complete', metrics, cut: { members: 20_000 } })
    expect(said.members).toEqual(members(20_000).slice(0, said.members.length))
    expect(said.members.length).toBeGreaterThan(4_000)
  })

  it('bytes are counted, not characters', () => {
    const text = fitting({ names: Array.from({ length: 4_000 }, () => '\u2603'.repeat(100)) }, MIB)
    expect(Buffer.byteLength(text)).toBeLessThan(MIB)
  })
})
