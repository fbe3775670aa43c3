import { expect, test } from 'vitest'
import { printable, shown, shownJson } from '../../src/jobFiles/printable.ts'

test('words, marks, symbols, newlines and tabs of any language stay as they are', () => {
  const text = 'Größe 1.2″ ± 0.1\n\tαβγ 星 é 🔭 «σ»'
  expect(printable(text)).toBe(text)
})

test.each([
  ['colours and cursor movements', '\u001B[31mred\u001B[0m\u001B[2J\u001B[10;10H', 'red'],
  ['window titles', 'a\u001B]0;rm -rf\u0007b', 'ab'],
  ['clipboards, ended by ST', 'a\u001B]52;c;ZXZpbA==\u001B\\b', 'ab'],
  ['device control strings', 'a\u001BP$q"p\u001B\\b', 'ab'],
  ['a title that was cut', 'a\u001B]0;half', 'a'],
  ['the same in eight bits', 'a\u009B2Jb\u009D0;title\u009Cc', 'abc'],
  ['a lone escape', 'a\u001B', 'a�'],
  ['bells and backspaces', 'a\u0007\bb', 'a��b'],
  ['turned writing', 'a\u202Eb\u2066c', 'a�b�c'],
  ['half a surrogate', 'a\uD800b', 'a�b'],
  ['a progress bar', '10 %\r20 %\r\ndone', '10 %\n20 %\ndone'],
])('%s are gone', (_, text, plain) => {
  expect(printable(text)).toBe(plain)
})

test('on a terminal our own colours stay and nothing else moves the cursor', () => {
  expect(shown('\u001B[32mgood\u001B[39m \u001B[8mhidden\u001B[2J \u001B]0;title\u0007.\u0007')).toBe(
    '\u001B[32mgood\u001B[39m hidden .\uFFFD',
  )
})

test('JSON for a program says the same value without a character that a terminal would obey', () => {
  const value = { note: 'a\u009B2J\u202Eb\u007F\u001B[2J' }
  expect(shownJson(value)).toMatch(/^[ -~]+$/)
  expect(JSON.parse(shownJson(value))).toEqual(value)
})
