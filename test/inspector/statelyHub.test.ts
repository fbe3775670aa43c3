import { describe, expect, test } from 'vitest'
import { bridgeFile } from '../../src/inspector/stately/bridge.ts'
import { createHub, type Viewer } from '../../src/inspector/stately/hub.ts'
import { STEPS_MAX } from '../../src/inspector/stately/outbox.ts'
import type { Kept } from '../../src/night/keeping.ts'
import type { Tail } from '../../src/night/tail.ts'
import { eventually } from '../bus/eventually.ts'
import { type Night } from '../night.ts'
import { enabled, process } from './statelyGiven.ts'

interface Tried extends Viewer {
  readonly sent: { readonly type: string; readonly sessionId?: string; readonly entry?: number }[]
  closed: string
  bufferedAmount: number
}

describe('the hub', () => {
  test('gives a viewer what is there, then what happens, and nothing to one that left', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017')
    const { tail, grow } = aTail(night)
    const hub = createHub({ instance: 'LATISS', tail })
    const viewer = aViewer()
    const gone = aViewer()
    const leave = hub.attach(gone, new URLSearchParams())
    hub.attach(viewer, new URLSearchParams(`actor=job.${jobId}`))
    leave()
    await eventually('it is attached', () => viewer.sent.length === 2)
    expect(viewer.sent[0]).toMatchObject({ type: '@ocps.attached', instance: 'LATISS', live: 1, shown: 1 })
    const before = gone.sent.length
    await night.started(jobId)
    grow()
    await eventually('the step is there', () => viewer.sent.length === 4)
    expect(viewer.sent.slice(1).map(({ type, sessionId }) => [type, sessionId])).toEqual([
      ['@xstate.actor', `job.${jobId}`],
      ['@xstate.event', `job.${jobId}`],
      ['@xstate.snapshot', `job.${jobId}`],
    ])
    expect(gone.sent.length).toBe(before)
    hub.close()
  })

  test('keeps the newest only for a viewer that does not drain, while another gets every step', async () => {
    const night = await enabled()
    const jobId = await process(night, 'AT_O_20261122_000017')
    await night.started(jobId)
    const { tail, grow } = aTail(night)
    const hub = createHub({ instance: 'LATISS', tail })
    const quick = aViewer()
    const slow = aViewer()
    for (const viewer of [quick, slow]) hub.attach(viewer, new URLSearchParams('kind=job'))
    await eventually('both are attached', () => slow.sent.length === 2 && quick.sent.length === 2)
    slow.bufferedAmount = Number.POSITIVE_INFINITY
    for (let index = 0; index < STEPS_MAX + 10; index++) await night.metric(jobId, 'psf.fwhm', index)
    grow()
    const all = 2 + 2 * (STEPS_MAX + 10)
    await eventually('the quick one has all', () => quick.sent.length === all)
    expect(slow.sent.length).toBe(2)
    slow.bufferedAmount = 0
    await eventually(
      'the slow one drained',
      () => slow.sent.length > 2 && slow.sent.at(-1)?.entry === quick.sent.at(-1)?.entry,
    )
    expect(slow.sent[2]).toMatchObject({ type: '@xstate.snapshot', conflated: expect.any(Number) as number })
    expect(slow.sent.length).toBeLessThan(50)
    hub.close()
  })

  test('asks viewers to come again when the journal begins anew, and says why where it cannot be read or chosen', async () => {
    const night = await enabled()
    const { tail, lines } = aTail(night)
    const hub = createHub({ instance: 'LATISS', tail })
    const viewer = aViewer()
    hub.attach(viewer, new URLSearchParams())
    await eventually('it is attached', () => viewer.sent.length > 1)
    tail.generation = 2
    await eventually('it is told to come again', () => viewer.closed !== '')
    expect(viewer.closed).toBe('1012 the journal begins anew; come again')
    lines.push({ n: (lines.at(-1)?.n ?? 0) + 1, line: '{"n":', isQuiescent: false })
    const other = aViewer()
    hub.attach(other, new URLSearchParams())
    await eventually('it is told', () => other.closed !== '')
    expect(other.closed).toMatch(/^1011 entry \d+ cannot be folded by this version: /)
    const wrong = aViewer()
    hub.attach(wrong, new URLSearchParams('kind=dome'))
    expect(wrong.closed).toMatch(/^1008 \?kind=dome: there are csc/)
    hub.close()
  })
})

describe('the bridge page', () => {
  const page = (query: string) => bridgeFile('/stately', new URLSearchParams(query))

  test('may frame the address it was given, and nothing else', () => {
    const policy = (query: string) => page(query)?.headers['Content-Security-Policy']
    expect(policy('')).toContain('; frame-src https://stately.ai/inspect;')
    expect(policy('to=http://localhost:5173/a%253Bb%3B%20script-src%20*,c?d=e;f')).toContain(
      '; frame-src http://localhost:5173/a%3Bb%3B%20script-src%20*%2Cc;',
    )
    for (const query of ['', 'to=http://localhost:5173/'])
      expect(policy(query)).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'sha256-\S+'; img-src data:; connect-src 'self'; frame-src \S+; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
      )
  })

  test('takes http and https addresses only, and says so', () => {
    for (const to of [
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'nothing',
      'https://a:b@c.example',
      'http://[::1]/',
      `https://a.example/${'a'.repeat(2_000)}`,
    ]) {
      const answer = page(`to=${encodeURIComponent(to)}`)
      expect(answer?.code, to).toBe(400)
      expect(answer?.headers['Content-Type'], to).toContain('text/plain')
      expect(answer?.body, to).toContain('?to= takes the http or https address of an inspector')
    }
  })

  test('shows the address as text, whatever is in it', () => {
    const { body = '' } = page(`to=${encodeURIComponent('https://a.example/"><script>alert(1)</script>?x=\'&y')}`) ?? {}
    expect(body).not.toContain('<script>alert')
    expect(body.match(/<script/g)).toHaveLength(1)
    expect(bridgeFile('/stately/else', new URLSearchParams())).toBeNull()
  })
})

function aViewer(): Tried {
  const viewer: Tried = {
    sent: [],
    closed: '',
    bufferedAmount: 0,
    send: text => void viewer.sent.push(JSON.parse(text) as Tried['sent'][number]),
    close: (code, reason) => {
      viewer.closed = `${code} ${reason}`
    },
  }
  return viewer
}

function aTail(night: Night): { tail: Tail & { generation: number }; grow: () => void; lines: Kept[] } {
  const lines: Kept[] = []
  const grow = () => {
    for (const entry of night.entries().slice(lines.at(-1)?.n ?? 0))
      lines.push({ n: entry.n, line: JSON.stringify(entry), isQuiescent: entry.what.type === 'engine.quiescent' })
  }
  grow()
  const status = { link: 'connected', problem: '', heartbeatAt: null, facts: null } as const
  return { tail: { lines, generation: 1, caughtUp: true, status, close: async () => {} }, grow, lines }
}
