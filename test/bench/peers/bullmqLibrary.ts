/**
 * BullMQ, which is no dependency of OCPS: installed into the bench's cache at first use. Declares the little of it that
 * the bench uses. Source: https://docs.bullmq.io (Queue, Worker, QueueEvents, FlowProducer).
 */
import { existsSync, mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { answerOf, cacheDir } from '../tools.ts'

export interface BullMq {
  readonly Queue: new (name: string, options: Options) => Queue
  readonly QueueEvents: new (name: string, options: Options) => QueueEvents
  readonly FlowProducer: new (options: Options) => FlowProducer
  readonly Worker: new (
    name: string,
    run: (job: { data: JobData }) => Promise<unknown>,
    options: WorkerOptions,
  ) => Worker
}

interface Options {
  readonly connection: { readonly host: string; readonly port: number; readonly maxRetriesPerRequest: null }
}

interface WorkerOptions extends Options {
  readonly concurrency: number
}

export interface JobData {
  readonly argv: readonly string[]
}

export interface JobOptions {
  readonly jobId?: string
  readonly removeOnComplete: { readonly count: number }
}

export interface Queue {
  add(name: string, data: JobData, options: JobOptions): Promise<unknown>
  pause(): Promise<void>
  resume(): Promise<void>
  getJobCounts(...states: readonly string[]): Promise<Readonly<Record<string, number>>>
  waitUntilReady(): Promise<unknown>
  on(event: 'error', hear: () => void): unknown
  close(): Promise<void>
}

export interface QueueEvents {
  waitUntilReady(): Promise<unknown>
  on(event: 'completed' | 'failed', hear: (said: { readonly jobId: string }) => void): unknown
  on(event: 'error', hear: () => void): unknown
  close(): Promise<void>
}

export interface FlowProducer {
  add(flow: Flow & { readonly children: readonly Flow[] }): Promise<unknown>
  on(event: 'error', hear: () => void): unknown
  close(): Promise<void>
}

interface Flow {
  readonly name: string
  readonly queueName: string
  readonly data: JobData
  readonly opts: JobOptions
}

export interface Worker {
  waitUntilReady(): Promise<unknown>
  on(event: 'error', hear: () => void): unknown
  close(force?: boolean): Promise<void>
}

const MAJOR = 5
const folder = join(cacheDir, `bullmq-${MAJOR}`)
const npm = ['install', '--no-audit', '--no-fund', '--prefix', folder, `bullmq@${MAJOR}`]
/** Thirteen megabytes over a slow link. */
const INSTALL_MS_MAX = 120_000

/** null, or why it cannot be had. */
export async function installBullMq(): Promise<string | null> {
  if (existsSync(join(folder, 'node_modules', 'bullmq', 'package.json'))) return null
  mkdirSync(folder, { recursive: true })
  process.stderr.write(`bench: installs bullmq@${MAJOR} into ${folder}\n`)
  return await answerOf('npm', npm, { timeoutMs: INSTALL_MS_MAX }).then(
    () => null,
    () => `npm could not install it; try: npm ${npm.join(' ')}`,
  )
}

export function bullMq(): BullMq {
  return createRequire(join(folder, 'package.json'))('bullmq') as BullMq
}

export function bullMqVersion(): string {
  return (createRequire(join(folder, 'package.json'))('bullmq/package.json') as { version: string }).version
}
