import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createGate } from '../../src/instance/gate.ts'
import { newest } from '../../src/instance/newest.ts'

/* Who is not certain to be the active instance says nothing: a lease and a journal that a test holds in its hand. */

function gated(isOurs: () => Promise<boolean> = () => Promise.resolve(true)) {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const lease = { sure: true, lapses: 0 }
  const acted: number[] = []
  let lost = 0
  let asked = 0
  const gate = createGate({
    lease: { isSure: () => lease.sure, lapses: () => lease.lapses },
    isOurs: () => {
      asked += 1
      return isOurs()
    },
    onLost: () => {
      lost += 1
      gate.shut()
    },
  })
  return {
    gate,
    lease,
    acted,
    act: (n: number) => gate.whenSure(() => acted.push(n)),
    lost: () => lost,
    asked: () => asked,
    /** So long as it takes to look again some times. */
    later: () => vi.advanceTimersByTimeAsync(100),
  }
}

describe('gate', () => {
  test('while the lease is held all comes out at once, and nothing is asked', () => {
    const { act, acted, gate, asked } = gated()
    act(1)
    expect(acted).toEqual([1])
    expect(gate.isSure()).toBe(true)
    expect(asked()).toBe(0)
  })

  test('what comes while the lease may have run out waits, and comes out in order when it is held again', async () => {
    const { act, acted, lease, later, gate, asked } = gated()
    lease.sure = false
    act(1)
    await later()
    lease.sure = true
    // One that came before is asked for still: nobody overtakes it.
    act(2)
    expect(acted).toEqual([])
    expect(gate.isSure()).toBe(false)
    await later()
    expect(acted).toEqual([1, 2])
    // The lease never lapsed: nobody else can have written.
    expect(asked()).toBe(0)
    act(3)
    expect(acted).toEqual([1, 2, 3])
  })

  test('a lease that lapsed and was taken again: the journal is asked before anything comes out', async () => {
    let answer: (isOurs: boolean) => void = () => {}
    const { act, acted, lease, later, asked } = gated(() => new Promise(resolve => (answer = resolve)))
    lease.sure = false
    lease.lapses = 1
    act(1)
    await later()
    expect(asked(), 'while it is not held there is nothing to ask for').toBe(0)
    lease.sure = true
    await later()
    expect(asked()).toBe(1)
    expect(acted).toEqual([])
    answer(true)
    await later()
    expect(acted).toEqual([1])
    act(2)
    expect(acted).toEqual([1, 2])
    expect(asked()).toBe(1)
  })

  test('another one has written the journal meanwhile: it is told once, and nothing ever comes out', async () => {
    const { act, acted, lease, later, lost } = gated(() => Promise.resolve(false))
    lease.lapses = 1
    act(1)
    await later()
    act(2)
    await later()
    expect(lost()).toBe(1)
    expect(acted).toEqual([])
  })

  test('while the journal cannot be asked it is asked again, and nothing comes out', async () => {
    let isAway = true
    const { act, acted, lease, later, lost } = gated(() =>
      isAway ? Promise.reject(new Error('away')) : Promise.resolve(true),
    )
    lease.lapses = 1
    act(1)
    await later()
    expect(acted).toEqual([])
    expect(lost()).toBe(0)
    isAway = false
    await later()
    expect(acted).toEqual([1])
  })

  test('a lease that lapses again while the journal is asked is asked about again', async () => {
    const answers: ((isOurs: boolean) => void)[] = []
    const { act, acted, lease, later } = gated(() => new Promise(resolve => answers.push(resolve)))
    lease.lapses = 1
    act(1)
    await later()
    lease.lapses = 2
    answers[0]?.(true)
    await later()
    expect(acted).toEqual([])
    answers[1]?.(true)
    await later()
    expect(acted).toEqual([1])
  })

  test('one that is shut while others act lets out nothing more', async () => {
    const { act, acted, lease, later, gate } = gated()
    lease.sure = false
    act(1)
    gate.whenSure(() => gate.shut())
    act(2)
    lease.sure = true
    await later()
    act(3)
    expect(acted).toEqual([1])
    expect(gate.isSure()).toBe(false)
  })

  test('one that is shut while it asks stops asking', async () => {
    const { act, lease, later, gate } = gated()
    lease.sure = false
    act(1)
    gate.shut()
    await later()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('newest: what is said without being asked', () => {
  test('comes out at once while the gate is sure', () => {
    const { gate, acted } = gated()
    const publish = newest(gate, 1)
    publish(() => acted.push(1))
    publish(() => acted.push(2))
    expect(acted).toEqual([1, 2])
  })

  test('of what waited only the newest come out, in order, once', async () => {
    const { gate, acted, lease, later } = gated()
    const publish = newest(gate, 2)
    lease.sure = false
    for (let n = 1; n <= 30; n++) publish(() => acted.push(n))
    lease.sure = true
    await later()
    expect(acted).toEqual([29, 30])
    publish(() => acted.push(31))
    expect(acted).toEqual([29, 30, 31])
  })
})
