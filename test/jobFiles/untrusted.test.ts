/**
 * A job may put anything in the place of its files: what is read and written stays its own, and nobody waits. Both
 * launchers run all of it.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import type { Executor } from '../../machines/ports.ts'
import { REPORTS_BYTES_MAX } from '../../src/executor/reportsFile.ts'
import { eachLauncher } from '../executor/eachLauncher.ts'
import { type Ear, ear, order, type Place, place } from '../executor/world.ts'
import { lacks } from '../needs.ts'

eachLauncher(lacks('compiler'))('a job that rearranges its directory (launcher: %s)', kind => {
  let at: Place
  let heard: Ear
  let executor: Executor
  beforeEach(async () => {
    at = place(kind)
    onTestFinished(() => at.leave())
    heard = ear()
    executor = await at.open(heard)
  })

  /** Runs it beside a job that must not notice; how it ended, and what was said of its reports. */
  const run = async (text: string) => {
    executor.start(order(['sh', '-c', text]))
    executor.start(order(['sh', '-c', 'echo fine'], { jobId: 'other' }))
    expect(await heard.end('other')).toMatchObject({ exitCode: 0, usage: { stdoutBytes: 5 } })
    const end = await heard.end()
    return { end, said: heard.reports.filter(({ jobId, type }) => jobId === 'j1' && !/started|exited/u.test(type)) }
  }

  test.each([
    ['a FIFO', 'mkfifo NAME'],
    ['a link to itself', 'ln -s NAME NAME'],
    ['a link to a device', 'ln -s /dev/full NAME'],
    ['a directory', 'mkdir NAME'],
    ['a socket', `'${process.execPath}' -e 'require("net").createServer().listen("NAME", () => process.exit())'`],
  ])(
    '%s in the place of stdout.log and stderr.log, before anything is written and after, holds up nobody',
    async (_, make) => {
      for (const name of ['stdout.log', 'stderr.log']) {
        const put = make.replaceAll('NAME', name)
        executor.start(order(['sh', '-c', `${put}; echo out; echo err >&2; exit 3`], { jobId: `before-${name}` }))
        executor.start(
          order(
            [
              'sh',
              '-c',
              `echo out; echo err >&2; while [ ! -s ${name} ]; do sleep 0.01; done; rm ${name}; ${put}; exit 3`,
            ],
            {
              jobId: `after-${name}`,
            },
          ),
        )
        for (const when of ['before', 'after'])
          expect(await heard.end(`${when}-${name}`)).toMatchObject({
            exitCode: 3,
            usage: { stdoutBytes: 4, stderrBytes: 4 },
          })
      }
    },
  )

  test('an output is written to the file of the job, not where a link leads', async () => {
    const precious = join(at.root, 'precious')
    writeFileSync(precious, 'data')
    const { end } = await run(`ln -s ${precious} stdout.log; ln ${precious} stderr.log; echo out; echo err >&2`)
    expect(end).toMatchObject({ exitCode: 0, stderrTail: 'err\n' })
    expect(readFileSync(precious, 'utf8')).toBe('data')
    expect(at.file('j1', 'stdout.log')).toBe('out\n')
  })

  test('neither its output nor its reports are looked for in a directory that a link leads to', async () => {
    const foreign = join(at.root, 'foreign')
    mkdirSync(foreign)
    writeFileSync(join(foreign, 'stderr.log'), 'secret')
    writeFileSync(join(foreign, 'reports.ndjson'), '{"verdict":"secret"}\n')
    const { end, said } = await run(`cd ..; mv j1 moved; ln -s ${foreign} j1; echo out; echo err >&2`)
    expect(end).toMatchObject({ exitCode: 0, stderrTail: '', usage: { stdoutBytes: 4 } })
    expect(said).toEqual([])
    expect(existsSync(join(foreign, 'stdout.log'))).toBe(false)
    if (process.platform === 'linux') expect(at.file('moved', 'stdout.log')).toBe('out\n')
  })

  test.each([
    ['a FIFO', 'mkfifo reports.ndjson', 'regular'],
    ['a link to a device that never ends', 'ln -s /dev/zero reports.ndjson', 'regular'],
    ['a directory', 'mkdir reports.ndjson', 'regular'],
    ['a sparse file of a terabyte', 'truncate -s 1T reports.ndjson', 'too many bytes'],
    ['a file of 200 MB of blank lines', 'yes "" | head -c 200000000 > reports.ndjson', 'too many lines'],
    ['a file of 200 MB in one line', 'head -c 200000000 /dev/zero > reports.ndjson', 'too many bytes'],
  ])('%s in the place of its reports is one bad report, and the job settles', async (_, make, reason) => {
    const { end, said } = await run(`rm reports.ndjson; ${make}; exit 3`)
    expect(end).toMatchObject({ exitCode: 3 })
    expect(said).toEqual([
      { type: 'executor.badReport', jobId: 'j1', attempt: 1, reason: expect.stringContaining(reason) },
    ])
    expect(REPORTS_BYTES_MAX).toBeLessThan(200_000_000)
  })

  test('without its directory, or with one nobody may enter, it settles', async () => {
    expect((await run('rm -r "$OCPS_WORK_DIR"; echo err >&2; exit 3')).end).toMatchObject({ exitCode: 3 })
    executor.start(order(['sh', '-c', 'echo err >&2; chmod 0 . reports.ndjson; exit 4'], { jobId: 'j2' }))
    expect(await heard.end('j2')).toMatchObject({ exitCode: 4 })
  })

  test('a dataset behind a link in the place of the directory is not there', async () => {
    const { said } = await run(
      'cd ..; mv j1 moved; ln -s /etc j1; echo \'{"dataset":"d","path":"passwd"}\' >> moved/reports.ndjson; rm j1; mv moved j1',
    )
    expect(said).toMatchObject([{ type: 'executor.badReport' }])
  })

  test('escape sequences and control characters of its stderr reach nobody', async () => {
    const evil = String.raw`\033]0;title\007\033[2Jred \033[31mtext\033[0m\033]52;c;ZXZpbA==\033\\ bell\007 nul\000 \302\2332J \342\200\256turned\r\nlast`
    const { end } = await run(`printf '${evil}' >&2; exit 1`)
    expect(end).toMatchObject({ stderrTail: 'red text bell� nul�  �turned\nlast' })
  })
})
