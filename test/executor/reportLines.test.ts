import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LINE_BYTES_MAX, parseReportLine } from '../../src/executor/reportLines.ts'

const read = (line: string) => parseReportLine(Buffer.from(line))

describe('a line of the reports file', () => {
  test.each([
    [
      '{"metric":"psf.fwhm","value":1.21,"unit":"arcsec"}',
      { type: 'executor.metric', metric: 'psf.fwhm', value: 1.21, unit: 'arcsec' },
    ],
    ['{"metric":"n","value":null}', { type: 'executor.metric', metric: 'n', value: null, unit: '' }],
    ['{"metric": "n", "value": NaN}', { type: 'executor.metric', metric: 'n', value: 'NaN', unit: '' }],
    [
      '{"metric": "NaN Infinity \\"NaN", "value": -Infinity}',
      { type: 'executor.metric', metric: 'NaN Infinity "NaN', value: '-Infinity', unit: '' },
    ],
    ['{"metric":"n","value":"Infinity"}', { type: 'executor.metric', metric: 'n', value: 'Infinity', unit: '' }],
    ['{"metric":"n","value":1e999}', { type: 'executor.metric', metric: 'n', value: 'Infinity', unit: '' }],
    [
      '{"dataset":"preview","path":"a/preview.png","mime":"image/png"}',
      { type: 'executor.dataset', dataset: 'preview', path: 'a/preview.png', mime: 'image/png' },
    ],
    ['{"progress":0.4,"note":"half"}\r', { type: 'executor.progress', fraction: 0.4, note: 'half' }],
    ['{"note":"reading"}', { type: 'executor.progress', fraction: null, note: 'reading' }],
    ['{"verdict":"poor seeing"}', { type: 'executor.verdict', verdict: 'poor seeing' }],
  ])('%s is a report', (line, report) => {
    expect(read(line)).toEqual(report)
  })

  test('that is blank is nothing', () => {
    expect(read('  \t')).toBeNull()
  })

  test.each([
    ['{"metric":"n","value":"1.2"}', 'metric n: value must be a number, NaN, Infinity, -Infinity or null, not "1.2"'],
    ['{"metric":"n"}', 'metric n has no value; write null for "not measured"'],
    ['{"metric":"n","value":1,"flavour":"x"}', 'unknown field "flavour" in a metric report'],
    ['{"metric":"n","value":1,"__proto__":{"x":1}}', 'unknown field "__proto__" in a metric report'],
    ['{"metric":"n\\u001b[31m","value":1}', /^metric must be a text of 1 to 128 printable characters/u],
    ['{"metric":"\\ud800","value":1}', /^metric must be/u],
    [`{"metric":"${'n'.repeat(129)}","value":1}`, /^metric must be/u],
    ['{"dataset":"d","path":"/etc/passwd"}', 'dataset d: path must be relative and without "..", not "/etc/passwd"'],
    ['{"dataset":"d","path":"a/../../b"}', /^dataset d: path must be relative/u],
    ['{"dataset":"d","path":"a\\u0000b"}', /^path must be/u],
    ['{"dataset":"d","path":"a","mime":"text/html;\\nX"}', /^dataset d: mime must be like/u],
    ['{"progress":2}', 'progress must be a number from 0 to 1 or null, not 2'],
    [`{"verdict":"${'x'.repeat(1001)}"}`, /^verdict must be a text of 1 to 1000/u],
    ['{"hello":1}', 'none of metric, dataset, progress, note, verdict: {"hello":1}'],
    ['[1]', 'not a JSON object: [1]'],
    ['{"metric":', 'not JSON: {"metric":'],
    ['['.repeat(60_000), /^not JSON: \[\[/u],
    ['NaN', /^not a JSON object/u],
  ])('%s is refused, and why is said', (line, reason) => {
    expect(read(line)).toEqual({
      type: 'executor.badReport',
      reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
    })
  })

  test('that is too long or not UTF-8 is refused', () => {
    expect(read(' '.repeat(LINE_BYTES_MAX + 1))).toMatchObject({ type: 'executor.badReport' })
    expect(parseReportLine(Buffer.from([0x7b, 0xff, 0x7d]))).toEqual({
      type: 'executor.badReport',
      reason: 'a line is not UTF-8',
    })
  })

  test('never throws and never changes the prototype, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.json().map(text => Buffer.from(text)),
        ),
        line => {
          parseReportLine(line)
          expect(Object.keys(Object.prototype)).toEqual([])
        },
      ),
    )
  })
})
