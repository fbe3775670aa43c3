/**
 * The commands an operator may want, each with what follows from it, as the night stands. They only offer; the instance
 * allows or refuses.
 */
import { dayObs } from '../../../machines/domain/dataId.ts'
import type { CscContext } from '../../../machines/csc.ts'
import type { QueueContext } from '../../../machines/queue.ts'
import { type GroupRecord, leafOf, type Night } from '../../night/night.ts'
import { onShelf } from '../../night/shelf.ts'
import type { Choice, Offer } from './commanding.ts'

/** The transitions that lead from the present state, as salobj names them; and for the queue, whether it flows. */
export function headOffers(night: Night): Offer[] {
  const csc = night.world.actor('csc')
  const queue = night.world.actor('queue')
  if (!csc || !queue) return []
  const { instance } = night
  const flow = leafOf(queue.snapshot)
  switch (leafOf(csc.snapshot)) {
    case 'standby':
      return [
        {
          command: 'start',
          title: `Start ${instance}?`,
          verb: 'Start',
          effect: 'STANDBY → DISABLED: the configuration is read and applied.',
          body: {},
          choices: overridesOf(csc.snapshot.context as CscContext),
        },
        {
          command: 'exitControl',
          title: `End ${instance}?`,
          verb: 'Exit',
          effect: 'STANDBY → OFFLINE: the process ends, and nobody but who starts processes brings it back.',
          body: {},
          isGrave: true,
        },
      ]
    case 'disabled':
      return [
        {
          command: 'enable',
          title: `Enable ${instance}?`,
          verb: 'Enable',
          effect: 'DISABLED → ENABLED: commands are accepted, and jobs that wait are started.',
          body: {},
        },
        RELOAD,
        standby(night, 'DISABLED'),
      ]
    case 'enabled':
      return [
        {
          command: 'disable',
          title: `Disable ${instance}?`,
          verb: 'Disable',
          effect: 'ENABLED → DISABLED: running jobs go on, waiting ones are held, new ones are refused.',
          body: {},
        },
        RELOAD,
        flow === 'paused'
          ? {
              command: 'resume',
              title: 'Let jobs start again?',
              verb: 'Resume',
              effect: 'The queue flows again: waiting jobs are started as slots become free.',
              body: {},
            }
          : {
              command: 'pause',
              title: 'Start no more jobs?',
              verb: 'Pause',
              effect: 'The queue is paused: running jobs go on, new ones are accepted and wait.',
              body: {},
            },
      ]
    case 'fault':
      return [standby(night, 'FAULT')]
    default:
      return []
  }
}

export function abortOffer(jobId: string): Offer {
  return {
    command: 'abortJob',
    title: `Abort job ${jobId}?`,
    verb: 'Abort job',
    effect: 'If it waits it never starts; if it runs it is ended with all its processes. It can be retried later.',
    body: { jobId },
    isGrave: true,
  }
}

export function retryJobOffer(jobId: string): Offer {
  return retryOffer({ jobId }, `Run job ${jobId} again?`, 1)
}

/** null: nothing of this group lies on the shelf. */
export function retryGroupOffer(night: Night, group: string): Offer | null {
  const jobs = onShelf(night).filter(({ item }) => item.dataId.group === group).length
  return jobs === 0 ? null : retryOffer({ group }, `Run what failed of group ${group} again?`, jobs)
}

/** One for each night that something lies on the shelf from, newest first. */
export function retryNightOffers(
  night: Night,
): { readonly day: number; readonly jobs: number; readonly offer: Offer }[] {
  const counts = new Map<number, number>()
  for (const { item } of onShelf(night)) counts.set(dayObs(item.at), (counts.get(dayObs(item.at)) ?? 0) + 1)
  return [...counts].map(([day, jobs]) => ({
    day,
    jobs,
    offer: retryOffer({ dayObs: day }, `Run everything that failed in the night ${day} again?`, jobs),
  }))
}

export function closeOffer(night: Night, { group, context }: GroupRecord): Offer {
  const left = context.members.filter(({ output }) => output === null).length
  const own = context.pipeline
  const combining = Object.entries(configurationOf(night)?.pipelines ?? {}).filter(([, { scope }]) => scope === 'group')
  return {
    command: 'closeGroup',
    title: `Close group ${group}?`,
    verb: 'Close group',
    effect: `Nothing more belongs to it; it is combined ${left === 0 ? 'now' : `when its last ${left === 1 ? 'member has' : `${left} members have`} settled`}.`,
    body: { group },
    choices: [
      {
        field: 'pipeline',
        label: 'combined by',
        options: [
          { value: '', label: own === null ? 'nothing: its members are the result' : `${own}, as it was given` },
          ...combining.map(([name]) => ({ value: name, label: name })),
        ],
      },
      {
        field: 'policy',
        label: 'if members fail',
        options: [
          { value: '', label: `${context.policy}, as it was given` },
          { value: 'partial', label: 'partial: combine what succeeded' },
          { value: 'skip', label: 'skip: combine nothing, quietly' },
          { value: 'fail', label: 'fail: combine nothing, and say that it failed' },
        ],
      },
    ],
  }
}

function standby(night: Night, from: string): Offer {
  const open = [...night.world.actors('job')].length
  return {
    command: 'standby',
    title: `Put ${night.instance} into STANDBY?`,
    verb: 'Standby',
    effect: `${from} → STANDBY: ${open === 0 ? 'nothing is open, so nothing is aborted' : `${open === 1 ? 'the job that is open is' : `all ${open} open jobs are`} aborted, each with its result`}.`,
    body: {},
    isGrave: open > 0,
  }
}

function retryOffer(of: Offer['body'], title: string, jobs: number): Offer {
  return {
    command: 'retry',
    title,
    verb: jobs === 1 ? 'Retry job' : `Retry ${jobs} jobs`,
    effect: `${jobs === 1 ? 'A new job is' : `${jobs} new jobs are`} made, as ${jobs === 1 ? 'it was' : 'they were'}, linked to the first attempt; what is run again leaves the shelf.`,
    body: of,
  }
}

function overridesOf({ available }: CscContext): Choice[] {
  const names = (available?.overrides ?? '').split(',').filter(name => name !== '')
  if (names.length === 0) return []
  const options = [{ value: '', label: 'none' }, ...names.map(name => ({ value: name, label: name }))]
  return [{ field: 'configurationOverride', label: 'override', options }]
}

function configurationOf(night: Night): QueueContext['configuration'] {
  const queue = night.world.actor('queue')
  return queue ? (queue.snapshot.context as QueueContext).configuration : null
}

const RELOAD: Offer = {
  command: 'reload',
  title: 'Reload the configuration?',
  verb: 'Reload',
  effect: 'New and changed pipelines are applied; jobs that are open keep the ones they were accepted with.',
  body: {},
}
