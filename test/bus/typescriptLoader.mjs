// Lets a child process of a test run the sources as they are: Node 20 does not read TypeScript, and a test must not
// depend on a build.
import { readFile } from 'node:fs/promises'
import { register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) register(import.meta.url)

export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return await next(url, context)
  const { transform } = await import('@swc/core')
  const source = await readFile(fileURLToPath(url), 'utf8')
  const { code } = await transform(source, { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' }, sourceMaps: 'inline' })
  return { format: 'module', shortCircuit: true, source: code }
}
