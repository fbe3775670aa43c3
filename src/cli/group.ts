import type { Command } from 'commander'
import type { GroupAnswer } from '../contract/answers.ts'
import { groupResultText } from './closeGroup.ts'
import { table } from './format.ts'
import type { Paint } from './output.ts'
import { examples, withOcps } from './session.ts'

/** `ocps group ID`: who belongs to a group and what became of it. */
export function addGroup(program: Command): void {
  program
    .command('group')
    .summary('show one group')
    .description('Show one group: its members, how they ended, and the result.')
    .argument('<id>', 'the group')
    .addHelpText(
      'after',
      examples(`
        ocps group 2026-11-22T22:59:05.721#1
        ocps group 2026-11-22T22:59:05.721#1 --json | jq .result.missing`),
    )
    .action(
      withOcps<[string]>(async ({ ocps, out }, id) => {
        const group = await ocps.group(id)
        out.say(page(group, out.paint), group)
      }),
    )
}

// A page; --json has them all.
const MEMBERS_SHOWN_MAX = 50

function page({ group, state, revision, members, result }: GroupAnswer, paint: Paint): string {
  const shown = members
    .slice(0, MEMBERS_SHOWN_MAX)
    .map(({ identity, pipeline, jobId, outcome }) =>
      jobId === null
        ? [identity, '', '', 'not processed by itself']
        : [identity, pipeline ?? '', jobId, outcome ?? 'not settled'],
    )
  const more = members.length > shown.length ? `\n  and ${members.length - shown.length} more` : ''
  return [
    `group ${paint('strong', group)}  ${state}${revision === 0 ? '' : `, revision ${revision}`}, ${members.length} members`,
    ...(shown.length === 0 ? [] : [table(shown, '  ') + more]),
    ...(result === null ? [] : [groupResultText(result, paint)]),
  ].join('\n')
}
