import type { Command } from 'commander'
import type { DataId } from '../../machines/domain/dataId.ts'
import type { OcpsEvent } from '../client/index.ts'
import { SUMMARY_STATE } from '../../machines/domain/summaryState.ts'
import { EXIT } from './exitCodes.ts'
import { clock, dataText, plain } from './format.ts'
import type { Paint } from './output.ts'
import { examples, withOcps } from './session.ts'

/** `ocps watch`: events as they are said, one line each. */
interface Options {
  readonly topic?: string
  readonly key?: string
}

export function addWatch(program: Command): void {
  program
    .command('watch')
    .summary('print events as they come')
    .description('Print events as they come, until Ctrl-C. Heartbeats are left out unless asked for.')
    .option(
      '-t, --topic <topic>',
      'only these: summaryState, jobState, jobResult, groupState, groupResult, logMessage, heartbeat, …',
    )
    .option('-k, --key <id>', 'only of this job or group; needs --topic')
    .addHelpText(
      'after',
      examples(`
        ocps watch
        ocps watch --topic jobResult --json | jq .body.outcome.kind
        ocps watch --topic heartbeat`),
    )
    .action(
      withOcps<[], Options>(async ({ ocps, out, options: { topic, key } }) => {
        for await (const event of ocps.events(topic, topic === undefined ? undefined : key)) {
          if (event.topic === 'heartbeat' && topic !== 'heartbeat') continue
          out.say(eventLine(event, out.paint), event)
        }
        return EXIT.DONE
      }),
    )
}

/** One line for a person: when, what, of whom. */
export function eventLine({ topic, key, at, body }: OcpsEvent, paint: Paint): string {
  const text = (name: string) => plain(typeof body[name] === 'string' ? body[name] : JSON.stringify(body[name] ?? ''))
  // A log message carries seconds of its own instead.
  const { timestamp } = body
  const when = at ?? (typeof timestamp === 'number' ? timestamp * 1_000 : null)
  const head = `${paint('faint', clock(when))} ${topic}`
  const data = () => plain(dataText(body['dataId'] as DataId))
  switch (topic) {
    case 'summaryState':
      return `${head} ${paint('strong', stateName(body['summaryState']))}`
    case 'errorCode':
      return `${head} ${text('errorCode')} ${text('errorReport')}`
    case 'jobState': {
      const outcome = body['outcome'] === null ? '' : ` ${text('outcome')}`
      return `${head} ${key} ${paint('busy', text('state'))}${outcome} ${text('pipeline')} ${data()}${body['note'] ? ` (${text('note')})` : ''}`
    }
    case 'jobResult': {
      const { kind, message } = body['outcome'] as { kind: string; message: string }
      return `${head} ${key} ${paint(kind === 'succeeded' ? 'good' : 'bad', kind)} ${text('pipeline')} ${data()}: ${plain(message)}`
    }
    case 'groupState':
      return `${head} ${key} ${paint('busy', text('state'))} ${text('settled')} of ${text('accepted')} members settled`
    case 'groupResult':
      return `${head} ${key} ${text('outcome')}: ${text('message')}`
    case 'logMessage':
      return `${head} ${text('level')} ${text('message')}`
    default:
      return `${head}${key === null ? '' : ` ${key}`} ${plain(JSON.stringify(body))}`
  }
}

function stateName(value: unknown): string {
  return Object.entries(SUMMARY_STATE).find(([, number]) => number === value)?.[0] ?? String(value)
}
