import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

/*
 * Every case of the conformance list has a test here whose title begins with its number, or stands in the table below
 * with the reason why it cannot apply. The list holds the odd numbers from 1 to 99.
 */
const notApplicable: Readonly<Record<number, string>> = {
  41: 'an instance has a name and a configuration folder of its own; there is no list of instances in the configuration that could lack it or hold it twice',
}

it('every case of the list is tested once or does not apply for a stated reason', () => {
  const here = new URL('.', import.meta.url)
  const tested = new Set(
    readdirSync(here)
      .filter(name => name.endsWith('.test.ts'))
      .flatMap(name =>
        [...readFileSync(new URL(name, here), 'utf8').matchAll(/'(\d+) [SODB]: /g)].map(([, number]) => Number(number)),
      ),
  )
  const cases = Array.from({ length: 50 }, (_, index) => 2 * index + 1)
  expect(cases.filter(number => !tested.has(number)).map(String)).toEqual(Object.keys(notApplicable))
  expect([...tested].filter(number => !cases.includes(number))).toEqual([])
  expect(Object.values(notApplicable).every(reason => reason.length > 0)).toBe(true)
})
