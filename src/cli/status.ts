import type { Command } from 'commander'
import type { JobsAnswer, StateAnswer } from '../contract/answers.ts'
import { dataText, duration, table } from './format.ts'
import type { Paint } from './output.ts'
import { examples, withOcps } from './session.ts'

/** `ocps status`: one page about one instance. */
export function addStatus(program: Command): void {
  program
    .command('status')
    .summary('show the state of the instance')
    .description('Show the state of the instance: summary state, error, configuration, queue, groups, durability.')
    .addHelpText(
      'after',
      examples(`
        ocps status
        ocps status --instance LSSTCam --json | jq -r .summaryState`),
    )
    .action(
      withOcps(async ({ ocps, out }) => {
        const [status, jobs] = await Promise.all([ocps.status(), ocps.jobs()])
        out.say(page(status, jobs, out.paint), status)
      }),
    )
}

// A page, not a list; `ocps jobs` is the list.
const JOBS_SHOWN_MAX = 10

function page(status: StateAnswer, { jobs, open }: JobsAnswer, paint: Paint): string {
  const { queue, versions } = status
  const error = status.errorCode === 0 ? 'none' : paint('bad', `${status.errorCode}: ${status.errorReport}`)
  const rows = [
    ['instance', `${paint('strong', status.instance)}  ${state(status.summaryState, paint)}`],
    ['error', error],
    ['configuration', configurationText(status, paint)],
    [
      'queue',
      queue.mode === null
        ? 'closed'
        : `${queue.state}, ${queue.mode}; ${queue.running} running, ${aheadText(queue)}${queue.waiting} waiting, ${queue.held} held; ${slotsText(queue)}`,
    ],
    ['groups', String(status.groups)],
    ['shelf', status.shelf === 0 ? 'empty' : `${status.shelf} jobs ended without success; "ocps shelf" lists them`],
    ['log level', String(status.logLevel)],
    ['durability', `${status.promise}; survives: ${status.survives}`],
    ['server', `${status.natsUrl}, nats-server ${status.serverVersion}`],
    ["jobs' files", status.workDir],
    ['process', `${status.pid} on ${status.host}, OCPS ${versions['ocps'] ?? '?'}, Node ${versions['node'] ?? '?'}`],
  ]
  const now = Date.now()
  const shown = jobs
    .slice(0, JOBS_SHOWN_MAX)
    .map(({ jobId, state, pipeline, dataId, times }) => [
      jobId,
      state,
      pipeline,
      dataText(dataId),
      `for ${duration(now - times.accepted)}`,
    ])
  const more = open > shown.length ? `\n  and ${open - shown.length} more: ocps jobs` : ''
  return table(rows) + (shown.length > 0 ? `\nopen jobs\n${table(shown, '  ')}${more}` : '')
}

function configurationText(
  { configuration, configurationVersion, isReloadDue, summaryState }: StateAnswer,
  paint: Paint,
) {
  if (configuration === null) return 'none applied yet; "ocps start" applies it'
  const verb = summaryState === 'STANDBY' ? 'start' : 'reload'
  const due = isReloadDue ? `; ${paint('busy', `the files have changed since: "ocps ${verb}" applies them`)}` : ''
  return `${configuration}, ${configurationVersion}${due}`
}

/** With prefetch jobs are handed over before a slot is free; they begin when they fit. */
function aheadText({ ahead }: StateAnswer['queue']): string {
  return ahead === 0 ? '' : `${ahead} handed over, `
}

function slotsText({ slots, slotsTaken, pools }: StateAnswer['queue']): string {
  if (!pools) return `${slotsTaken} of ${slots} slots taken`
  return `slots taken: ${pools.map(one => `${one.pool} ${one.slotsTaken} of ${one.slots}${one.waiting === 0 ? '' : ` (${one.waiting} waiting)`}`).join(', ')}`
}

export function state(name: string, paint: Paint): string {
  return paint(name === 'ENABLED' ? 'good' : name === 'FAULT' ? 'bad' : 'busy', name)
}
