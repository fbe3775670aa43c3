import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

/* Habits that keep the tests and the code trustworthy, checked over the files as they are. */

const root = new URL('..', import.meta.url)
const tracked = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', 'src', 'machines', 'test'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter(path => /\.tsx?$/.test(path))

const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

describe('tests', () => {
  test('no hook ends several things one after the other: the first that throws would leave the others behind', () => {
    const several = tracked
      .filter(path => path.startsWith('test/'))
      .flatMap(path =>
        [...read(path).matchAll(/\bafter(?:All|Each)\(async \(\) => \{\n([\s\S]*?)\n\s*\}\)/g)]
          .filter(([, body = '']) => (body.match(/\bawait\b/g) ?? []).length > 1)
          .map(() => path),
      )
    expect(several, 'register each with cleanUpAfterAll or cleanUpAfterEach (test/cleanUp.ts)').toEqual([])
  })
})
