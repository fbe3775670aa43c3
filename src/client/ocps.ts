import { ACK, type AckBody, type JobResult } from '../../machines/domain/announcements.ts'
import { SUMMARY_STATE, type SummaryState, transitionChain } from '../../machines/domain/summaryState.ts'
import type { Bus } from '../bus/port.ts'
import type { CommandBody, CommandName } from '../contract/commands.ts'
import { createSend, type SendOptions } from './acknowledgements.ts'
import type { GroupAnswer, JobAnswer, JobsAnswer, ShelfAnswer, StateAnswer } from '../contract/answers.ts'
import { CommandRefused, OcpsError } from './errors.ts'
import { listenToEvents, type OcpsEvent } from './events.ts'
import { followGroup, type Group } from './groups.ts'
import { createHearing } from './hearing.ts'
import { createImages, type ImageInOODS, type WaitForImageOptions } from './images.ts'
import { followJobs, type Following, type Job } from './jobs.ts'
import type { ExposureAnswer } from '../contract/history.ts'
import { history, type HistoryFilter } from './history.ts'
import { createAsk } from './queries.ts'
import { createRechecks } from './rechecks.ts'

/**
 * One instance of OCPS as a script sees it. Every method that waits has an end; every rejection is an OcpsError, and a
 * command that was refused is a CommandRefused. Works across a restart of the server and of the instance: the same
 * connection goes on.
 */
export interface Ocps {
  readonly instance: string
  /** The server this client is connected to, without credentials. */
  readonly url: string

  /** The present summary state. */
  state(): Promise<SummaryState>
  /** Everything `qry.state` answers: state, error, configuration, queue, groups, and facts of the process. */
  status(): Promise<StateAnswer>
  /**
   * Walks to a summary state by the commands an operator would send, from FAULT by way of STANDBY. Resolves with the
   * states visited, the one before first (salobj set_summary_state). `configurationOverride` is the file `start` names.
   */
  bringTo(
    state: SummaryState,
    options?: { readonly configurationOverride?: string; readonly timeoutMs?: number },
  ): Promise<readonly SummaryState[]>

  /**
   * Any command; resolves with the final acknowledgement (303). Under the same `id` it is executed once, however often
   * it is sent.
   */
  command<N extends CommandName>(name: N, body: CommandBody<N>, options?: SendOptions): Promise<AckBody>

  /** Closes a group and combines it; see closeGroup. */
  processData(body: CombineBody, options?: SendOptions): Promise<Group>
  /** Processes an exposure. Resolves once accepted, which means that it is on disk and will settle exactly once. */
  processData(body: CommandBody<'processData'>, options?: SendOptions): Promise<Job>
  /** Nothing more belongs to the group: combine it once its members have settled. */
  closeGroup(group: string, body?: Omit<CommandBody<'closeGroup'>, 'group'>, options?: SendOptions): Promise<Group>

  /** Applies new and changed pipelines; what is open goes on. */
  reload(): Promise<AckBody>
  abort(jobId: string): Promise<AckBody>
  pause(): Promise<AckBody>
  resume(): Promise<AckBody>
  /** As in Python: 10 debug, 20 info, 30 warning, 40 error. */
  setLogLevel(level: number): Promise<AckBody>

  /** Open or settled; rejects with UNKNOWN for a job the instance does not know. */
  job(jobId: string): Promise<JobAnswer>
  /** Open jobs: running first, then waiting in the order they will run, then the rest. */
  jobs(): Promise<JobsAnswer>
  group(group: string): Promise<GroupAnswer>
  /** Jobs that ended without success and can be retried, oldest first. */
  shelf(): Promise<ShelfAnswer>
  /** Jobs that have ended, newest first, of all nights the journal holds; asked for in parts as they are read. */
  history(filter?: HistoryFilter): AsyncIterable<JobResult>
  /** One exposure: every job over it, open or ended. */
  exposure(obsid: string): Promise<ExposureAnswer>

  /** Live events, from now on; see OcpsEvent. Of more than 10 000 that wait the oldest are dropped. */
  events(topic?: string, key?: string): AsyncIterable<OcpsEvent>
  /**
   * The event that says an image is ingested, heard since this client connected or from now on. Rejects with
   * INGEST_FAILED if it says that it was not, and with TIMEOUT, naming the failures heard that name no exposure.
   */
  waitForImage(obsid: string, options?: WaitForImageOptions): Promise<ImageInOODS>

  /** What is still awaited is rejected with CLOSED; jobs go on. */
  close(): Promise<void>
}

export type CombineBody = Omit<CommandBody<'processData'>, 'dataId'> & {
  readonly dataId: { readonly group: string; readonly obsid?: undefined; readonly instrument?: string }
}

/** The client over a bus that is connected already; close() closes the bus. */
export function createOcps({ bus, instance, identity }: { bus: Bus; instance: string; identity: string }): Ocps {
  const send = createSend({ bus, instance, identity })
  const ask = createAsk(bus, instance)
  const rechecks = createRechecks(bus)
  const images = createImages(bus)
  const streams = new Set<{ stop(): void }>()
  const awaiting = new Set<(error: OcpsError) => void>()
  let closing: Promise<void> | null = null
  const following: Following = {
    hearing: createHearing(bus, instance),
    rechecks,
    ask,
    closing: {
      add(reject) {
        awaiting.add(reject)
        return () => void awaiting.delete(reject)
      },
    },
  }

  return {
    instance,
    get url() {
      return bus.server.url
    },
    state,
    status: () => ask('state', {}),
    bringTo,
    command,
    processData,
    closeGroup: (group, body = {}, options) =>
      followGroup('closeGroup', group, send('closeGroup', { group, ...body }, options), following),
    reload: () => command('reload', {}),
    abort: jobId => command('abortJob', { jobId }),
    pause: () => command('pause', {}),
    resume: () => command('resume', {}),
    setLogLevel: level => command('setLogLevel', { level }),
    job: jobId => ask('job', { jobId }),
    jobs: () => ask('jobs', {}),
    group: group => ask('group', { group }),
    shelf: () => ask('shelf', {}),
    history: (filter = {}) => history(ask, filter),
    exposure: obsid => ask('exposure', { obsid }),
    events(topic, key) {
      const stream = listenToEvents(bus, instance, topic ?? null, key ?? null, () => streams.delete(stream))
      streams.add(stream)
      return stream
    },
    waitForImage: (obsid, options) => images.waitFor(obsid, options),
    close: () => (closing ??= close()),
  }

  async function close(): Promise<void> {
    const closed = new OcpsError('CLOSED', 'this client was closed before the end; the jobs go on')
    for (const reject of awaiting) reject(closed)
    for (const stream of streams) stream.stop()
    rechecks.close()
    images.close()
    await bus.close()
  }

  async function state(): Promise<SummaryState> {
    const { summaryState } = await ask<StateAnswer>('state', {})
    if (isSummaryState(summaryState)) return summaryState
    throw new OcpsError('BAD_ANSWER', `${instance} says its state is ${summaryState}, which is none`)
  }

  async function bringTo(
    goal: SummaryState,
    { configurationOverride = '', timeoutMs }: { configurationOverride?: string; timeoutMs?: number } = {},
  ): Promise<readonly SummaryState[]> {
    const present = await state()
    const chain = transitionChain(present, goal)
    if (chain === null)
      throw new OcpsError(
        'BAD_REQUEST',
        `no commands lead from ${present} to ${goal}${goal === 'FAULT' ? '; a CSC goes there by itself, when it must' : ''}`,
      )
    const visited = [present]
    for (const { command: name, reaches } of chain) {
      await command(
        name,
        name === 'start' ? { configurationOverride } : {},
        timeoutMs === undefined ? {} : { timeoutMs },
      )
      visited.push(reaches)
    }
    return visited
  }

  async function command(name: CommandName, body: object, options?: SendOptions): Promise<AckBody> {
    for await (const ack of send(name, body, options)) {
      if (ack.ack === ACK.COMPLETE) return ack
      if (ack.ack < 0) throw new CommandRefused(name, ack)
    }
    throw new OcpsError('BAD_ANSWER', `${name} ended without a final acknowledgement`)
  }

  /** The first acknowledgement says whether it was accepted, in either mode. */
  async function accept(body: object, options?: SendOptions): Promise<AckBody> {
    for await (const ack of send('processData', body, options)) {
      if (ack.ack < 0) throw new CommandRefused('processData', ack)
      return ack
    }
    throw new OcpsError('BAD_ANSWER', 'processData ended without an acknowledgement')
  }

  function processData(body: CombineBody, options?: SendOptions): Promise<Group>
  function processData(body: CommandBody<'processData'>, options?: SendOptions): Promise<Job>
  function processData(body: CommandBody<'processData'> | CombineBody, options?: SendOptions): Promise<Group | Job> {
    const { obsid, group } = body.dataId
    return group !== undefined && obsid === undefined
      ? followGroup('processData', group, send('processData', body, options), following)
      : followJobs(() => accept(body, options), following)
  }
}

function isSummaryState(name: string): name is SummaryState {
  return Object.hasOwn(SUMMARY_STATE, name)
}
