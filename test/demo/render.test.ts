// The demo's page as a person reads it: a night told message by message, and what stands on the screen then.
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { emptyModel, hear, isComplete, type Model } from '../../src/demo/model.ts'
import { render } from '../../src/demo/render.ts'
import { report, summaryOf } from '../../src/demo/report.ts'
import { bar, colours, plain } from '../../src/demo/text.ts'
import { fromScript, fromWire } from '../../src/demo/wire.ts'

const began = Date.UTC(2026, 10, 22, 22, 59, 5)
const group = '2026-11-22T22:59:42.721'

describe('the page', () => {
  test('in the middle of a group shows what is exposed, measured and still to come', () => {
    const page = render(halfway(), { now: began + 3_000, width: 80, paint: plain })
    expect(`\n${page.join('\n')}\n`).toMatchInlineSnapshot(`
      "
       OCPS LATISS ENABLED                                                      3.0 s
       Each exposure is measured while the next is taken; then all are combined.

       exposure              image     quicklook               FWHM background  stars
       AT_O_20261122_000001  ingested  █████████ done      2.99 pix   2635 adu    572
       AT_O_20261122_000002  ingested  █▊······· running   2.58 pix
       AT_O_20261122_000003  reading

       queue   1 running  0 waiting   1 done
       group   ███······  1 of 3 measured, open   2026-11-22T22:59:42.721
       stack   ·········  waits for the group

        0.6 s  OODS    has ingested #1
        0.8 s  script  asks for quicklook of #1: accepted in 4 ms
        1.1 s  OCPS    quicklook of #1: FWHM 2.99 pix, background 2635 adu, 572 stars
        1.2 s  camera  opens the shutter: #2, 15 s
        1.4 s  OODS    has ingested #2
        1.8 s  camera  opens the shutter: #3, 15 s
      "
    `)
  })

  test('at 120 columns has longer bars and the noise as well', () => {
    const page = render(halfway(), { now: began + 3_000, width: 120, paint: plain })
    expect(`\n${page.slice(3, 6).join('\n')}\n`).toMatchInlineSnapshot(`
      "
       exposure              image     quicklook                                FWHM background  stars     noise
       AT_O_20261122_000001  ingested  ██████████████████████████ done      2.99 pix   2635 adu    572  45.6 adu
       AT_O_20261122_000002  ingested  █████▎···················· running   2.58 pix
      "
    `)
  })

  test.each([60, 80, 100, 120, 200])('in a terminal of %i columns has no line wider than its page', columns => {
    for (const model of [start(), halfway(), finished()])
      for (const line of render(model, { now: began + 3_000, width: columns, paint: plain }))
        expect(line.length, line).toBeLessThan(Math.max(80, columns))
  })

  test('looks the same in colour but for the colours', () => {
    const frame = { now: began + 3_000, width: 80 }
    const coloured = render(halfway(), { ...frame, paint: colours })
    const bare = coloured.map(line => stripVTControlCharacters(line).trimEnd())
    expect(bare).toEqual(render(halfway(), { ...frame, paint: plain }).map(line => line.trimEnd()))
    expect(coloured.join('')).toContain('\u001b[')
  })

  test('does not show a failed job as a measured one', () => {
    const model = told(start(), [
      wire('camera.LATISS.evt.startIntegration', { imageName: obsid(1), exposureTime: 15 }),
      wire('ocps.LATISS.evt.jobState.j1', jobState('j1', 1, 'running')),
      wire('ocps.LATISS.evt.jobResult.j1', {
        ...jobResult('j1', 1),
        outcome: { kind: 'failed', message: 'exit code 3' },
      }),
    ])
    const page = render(model, { now: began, width: 80, paint: plain }).join('\n')
    expect(page).toMatch(/AT_O_20261122_000001.*failed/)
    expect(page).toContain('quicklook of #1 failed: exit code 3')
  })
})

describe('the final table', () => {
  test('says what was measured, how much deeper the stack is, and where the images are', () => {
    const model = finished()
    expect(isComplete(model)).toBe(true)
    const places = {
      directory: '/tmp/night',
      previews: { [obsid(1)]: `/tmp/night/images/${obsid(1)}.png`, [obsid(2)]: `/tmp/night/images/${obsid(2)}.png` },
      stackPreview: '/tmp/night/images/stack.png',
      stackImage: '/tmp/night/images/stack.fits',
    }
    const truth = new Map([
      [obsid(1), 2.99],
      [obsid(2), 2.58],
    ])
    const summary = summaryOf(model, places, truth, began + 7_200)
    expect(summary.ok).toBe(true)
    const lines = report(model, summary, { now: began + 7_200, width: 80, paint: plain })
    for (const line of lines) expect(line.length).toBeLessThan(80)
    expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
      "
       OCPS LATISS ENABLED                                                      7.2 s

       exposure                  FWHM simulated background     noise  stars    after
       AT_O_20261122_000001  2.99 pix  2.99 pix   2635 adu  45.6 adu    572   1.70 s
       AT_O_20261122_000002  2.99 pix  2.58 pix   2635 adu  45.6 adu    572   1.30 s
       stack of 2            2.85 pix                       31.2 adu   1085

       Stack of 2: 0.37 mag deeper than one exposure, 1085 stars instead of 572.
       Every exposure was measured within 1.7 s of being ingested.

       images in  /tmp/night
       stack      images/stack.png   images/stack.fits
       previews   images/AT_O_20261122_000001.png
                  images/AT_O_20261122_000002.png

      "
    `)
  })

  test('of a group that was not combined says so and is not ok', () => {
    const failure = {
      group,
      outcome: 'failed',
      message: 'nothing was combined: no member succeeded',
      jobId: null,
      metrics: [],
      datasets: [],
    }
    const model = told(halfway(), [wire('ocps.LATISS.evt.groupResult.g', failure)])
    const places = { directory: '/tmp/night', previews: {}, stackPreview: null, stackImage: null }
    const summary = summaryOf(model, places, new Map(), began + 7_200)
    expect(summary.ok).toBe(false)
    const lines = report(model, summary, { now: began + 7_200, width: 80, paint: plain }).join('\n')
    expect(lines).toContain('nothing was combined: no member succeeded')
    expect(lines).toContain('no result')
  })
})

test('what is not for the page, or not JSON, is passed over', () => {
  expect(fromWire('ocps.LATISS.evt.heartbeat', { heartbeat: 1 })).toBeNull()
  expect(fromWire('ocps.LATISS.evt.jobState.j1', { jobId: 1 })).toBeNull()
  expect(fromWire('camera', null)).toBeNull()
  expect(fromScript('not json')).toBeNull()
  expect(fromScript('{"step":"dances"}')).toBeNull()
})

test('a bar moves in eighths of a cell and never beyond its ends', () => {
  expect([bar(0, 4), bar(0.5, 4), bar(0.53, 4), bar(1, 4), bar(7, 4), bar(-1, 4)]).toEqual([
    '····',
    '██··',
    '██▏·',
    '████',
    '████',
    '····',
  ])
})

function start(): Model {
  return emptyModel({ instance: 'LATISS', began, plan: { exposures: 3, exposureTime: 15, pace: 20 } })
}

function halfway(): Model {
  return told(start(), [
    wire('ocps.LATISS.evt.summaryState', { summaryState: 2 }),
    step({ step: 'enabled', visited: ['STANDBY', 'DISABLED', 'ENABLED'] }),
    step({ step: 'group', group, exposures: 3, exposureTime: 15 }),
    wire('camera.LATISS.evt.startIntegration', { imageName: obsid(1), exposureTime: 15 }),
    wire('camera.LATISS.evt.endReadout', { imageName: obsid(1) }),
    wire('oods.LATISS.evt.imageInOODS', { obsid: obsid(1), statusCode: 0, description: 'file ingested' }),
    wire('ocps.LATISS.evt.jobState.j1', jobState('j1', 1, 'running')),
    step({ step: 'accepted', obsid: obsid(1), pipeline: 'quicklook', jobId: 'j1', milliseconds: 4.2 }),
    wire('ocps.LATISS.evt.groupState.g', { group, state: 'open', accepted: 1, settled: 0 }),
    wire('ocps.LATISS.tel.progress.j1', { jobId: 'j1', fraction: 0.7, note: 'measured 572 stars' }),
    wire('ocps.LATISS.evt.jobResult.j1', jobResult('j1', 1)),
    wire('camera.LATISS.evt.startIntegration', { imageName: obsid(2), exposureTime: 15 }),
    wire('camera.LATISS.evt.endReadout', { imageName: obsid(2) }),
    wire('oods.LATISS.evt.imageInOODS', { obsid: obsid(2), statusCode: 0, description: 'file ingested' }),
    wire('ocps.LATISS.evt.jobState.j2', jobState('j2', 2, 'running')),
    wire('ocps.LATISS.tel.progress.j2', { jobId: 'j2', fraction: 0.2, note: 'read 960 × 720 pixels' }),
    wire('ocps.LATISS.tel.metric.j2', { jobId: 'j2', metric: 'psf.fwhm', value: 2.581, unit: 'pix' }),
    wire('camera.LATISS.evt.startIntegration', { imageName: obsid(3), exposureTime: 15 }),
  ])
}

function finished(): Model {
  const stack = [
    { metric: 'stack.depthGain', value: 0.37, unit: 'mag' },
    { metric: 'stack.framesUsed', value: 2, unit: '' },
    { metric: 'stack.noise', value: 31.2, unit: 'adu' },
    { metric: 'psf.fwhm', value: 2.85, unit: 'pix' },
    { metric: 'stars.count', value: 1085, unit: '' },
  ]
  const dataId = { obsid: null, group }
  const both = told({ ...start(), plan: { exposures: 2, exposureTime: 15, pace: 20 } }, [
    wire('ocps.LATISS.evt.summaryState', { summaryState: 2 }),
    ...[1, 2].flatMap(n => [
      wire('camera.LATISS.evt.startIntegration', { imageName: obsid(n), exposureTime: 15 }),
      wire('oods.LATISS.evt.imageInOODS', { obsid: obsid(n), statusCode: 0, description: 'file ingested' }),
      wire(`ocps.LATISS.evt.jobState.j${n}`, jobState(`j${n}`, n, 'running')),
      wire(`ocps.LATISS.evt.jobResult.j${n}`, jobResult(`j${n}`, n)),
    ]),
    wire('ocps.LATISS.evt.jobState.j3', { jobId: 'j3', state: 'starting', dataId, pipeline: 'stack' }),
    wire('ocps.LATISS.evt.jobResult.j3', { ...jobResult('j3', 3), dataId, pipeline: 'stack', metrics: stack }),
    wire('ocps.LATISS.evt.groupResult.g', {
      group,
      outcome: 'complete',
      message: 'all 2 members were combined',
      jobId: 'j3',
      metrics: stack,
      datasets: [],
    }),
  ])
  return both
}

type Said = (model: Model, at: number) => Model

/** A message each tenth of a second. */
function told(model: Model, said: readonly Said[]): Model {
  return said.reduce((before, one, index) => one(before, began + 100 * (index + 1)), model)
}

function wire(subject: string, body: unknown): Said {
  return (model, at) => {
    const heard = fromWire(subject, body)
    if (heard === null) throw new Error(`${subject} was not understood`)
    return hear(model, heard, at)
  }
}

function step(body: unknown): Said {
  return (model, at) => {
    const heard = fromScript(JSON.stringify(body))
    if (heard === null) throw new Error(`${JSON.stringify(body)} was not understood`)
    return hear(model, heard, at)
  }
}

function obsid(n: number): string {
  return `AT_O_20261122_00000${n}`
}

function jobState(jobId: string, n: number, state: string) {
  return { jobId, state, dataId: { obsid: obsid(n), group }, pipeline: 'quicklook' }
}

function jobResult(jobId: string, n: number) {
  return {
    jobId,
    dataId: { obsid: obsid(n), group },
    pipeline: 'quicklook',
    outcome: { kind: 'succeeded', message: 'done' },
    metrics: [
      { metric: 'psf.fwhm', value: 2.991, unit: 'pix' },
      { metric: 'background.level', value: 2635.2, unit: 'adu' },
      { metric: 'background.noise', value: 45.61, unit: 'adu' },
      { metric: 'stars.count', value: 572, unit: '' },
    ],
    datasets: [{ dataset: 'preview', path: 'preview.png', mime: 'image/png' }],
    times: { accepted: began, started: began + 100, settled: began + 2_000 },
  }
}
