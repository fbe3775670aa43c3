import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import sqlite from 'node-sqlite3-wasm'
import type { JobResult } from '../../machines/domain/announcements.ts'
import type { Ended, HistoryRequest } from '../contract/history.ts'

/**
 * The ended jobs of an instance in one SQLite file, for questions about last night or last month. It holds nothing that
 * the journal does not hold: a file that is missing, damaged or of another format is made again from there. One process
 * opens it at a time, the active one; everybody else asks that one.
 */
export class RecordStore {
  readonly #db: sqlite.Database
  readonly #insert: sqlite.Statement
  readonly #note: sqlite.Statement

  private constructor(db: sqlite.Database) {
    this.#db = db
    this.#insert = db.prepare(`insert or replace into jobs values (${'?, '.repeat(COLUMNS)}?)`)
    this.#note = db.prepare('insert or replace into facts values (?, ?)')
  }

  /** null: in memory. `instance`: whose jobs these are; a file of another instance or format is begun anew. */
  static open(path: string | null, instance: string): RecordStore {
    if (path === null) return new RecordStore(prepared(':memory:'))
    const owner = `${FORMAT} ${instance}`
    // SQLite's lock here is a directory, which outlives a process that is killed; the work directory's lock is the real one.
    rmSync(`${path}.lock`, { recursive: true, force: true })
    try {
      const store = new RecordStore(prepared(path))
      if (store.#fact('owner') === owner) return store
      store.close()
    } catch {
      // Damaged, or none at all: the journal has everything.
    }
    removeFiles(path)
    const store = new RecordStore(prepared(path))
    store.#note.run(['owner', owner])
    return store
  }

  /** The id of the last announcement that is in it; null: it is new. */
  get cursor(): string | null {
    return this.#fact('cursor')
  }

  /** In one transaction with the cursor, so that after a kill the two agree. */
  add(jobs: readonly JobResult[], cursor: string): void {
    this.#db.exec('begin')
    try {
      for (const job of jobs) this.#insert.run(row(job))
      this.#note.run(['cursor', cursor])
      this.#db.exec('commit')
    } catch (error) {
      this.#db.exec('rollback')
      throw error
    }
  }

  /** Newest first. */
  jobs(asked: HistoryRequest): readonly Ended[] {
    const { where, values } = conditions(asked)
    const rows = this.#db.all(`select body from jobs${where} order by settled desc, jobId desc limit ?`, [
      ...values,
      asked.limit,
    ])
    return rows.flatMap(({ body }) => (typeof body === 'string' ? [JSON.parse(body) as Ended] : []))
  }

  /** How many there are, whatever the limit. */
  count(asked: HistoryRequest): number {
    const { before: _, ...all } = asked
    const { where, values } = conditions(all)
    return Number(this.#db.get(`select count(*) as n from jobs${where}`, values)?.['n'] ?? 0)
  }

  close(): void {
    this.#insert.finalize()
    this.#note.finalize()
    this.#db.close()
  }

  #fact(name: string): string | null {
    const value = this.#db.get('select value from facts where name = ?', [name])?.['value']
    return typeof value === 'string' ? value : null
  }
}

/** Changes with the tables. */
const FORMAT = 1
const COLUMNS = 10

// A cut of power may damage the file, which is then made again: what is saved is a sync for every transaction.
const TABLES = `
  pragma journal_mode = truncate;
  pragma synchronous = off;
  create table if not exists facts (name text primary key, value text) without rowid;
  create table if not exists jobs (
    jobId text primary key, settled integer, runMs integer, obsid text, detector integer, groupId text, pipeline text,
    outcome text, askedBy text, code text, body text
  ) without rowid;
  create index if not exists bySettled on jobs (settled, jobId);
  create index if not exists byObsid on jobs (obsid, settled);
  create index if not exists byGroup on jobs (groupId, settled);
  create index if not exists byOutcome on jobs (outcome, settled);
  create index if not exists byPipeline on jobs (pipeline, settled);
`

function prepared(path: string): sqlite.Database {
  const db = new sqlite.Database(path)
  try {
    db.exec(TABLES)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function removeFiles(path: string): void {
  const name = basename(path)
  for (const one of readdirSync(dirname(path)))
    if (one === name || one.startsWith(`${name}-`)) rmSync(join(dirname(path), one), { recursive: true })
}

function row(job: JobResult): (string | number | null)[] {
  const { jobId, dataId, pipeline, outcome, askedBy, times } = job
  const runMs = times.started === null ? null : times.settled - times.started
  const { obsid, detector, group } = dataId
  const known = [jobId, times.settled, runMs, obsid, detector, group, pipeline, outcome.kind, askedBy, outcome.code]
  return [...known, JSON.stringify(job)]
}

function conditions(asked: HistoryRequest): { where: string; values: (string | number)[] } {
  const { before, longerThan, since, until } = asked
  const known: [string, string | number | undefined][] = [
    ['obsid = ?', asked.obsid],
    ['groupId = ?', asked.group],
    ['pipeline = ?', asked.pipeline],
    ['outcome = ?', asked.outcome],
    ['askedBy = ?', asked.askedBy],
    ['settled >= ?', since],
    ['settled < ?', until],
    ['runMs > ?', longerThan === undefined ? undefined : longerThan * 1_000],
  ]
  const given = known.flatMap(([text, value]) => (value === undefined ? [] : [{ text, value }]))
  const texts = given.map(({ text }) => text)
  const values = given.map(({ value }) => value)
  if (before !== undefined) {
    texts.push('(settled, jobId) < (?, ?)')
    values.push(before.settled, before.jobId)
  }
  return { where: texts.length === 0 ? '' : ` where ${texts.join(' and ')}`, values }
}
