import type { Mutant } from './planted.ts'

/**
 * Twenty bugs that the simulation once let pass: in what results hold, in how often and how long, in what a mark keeps,
 * in groups at their edges. All of them leave every single state and announcement plausible in itself; only books kept
 * from the commands and the processes find them.
 */
export const MUTANTS_AT_THE_EDGES: readonly Mutant[] = [
  {
    name: 'reports heard before an adoption are heard again',
    file: 'src/engine/takingUp.js',
    edits: [['reportsHeard,\n                started', 'reportsHeard: 0,\n                started']],
    finds: 'whole',
  },
  {
    name: 'stop is not sent again after a recovery',
    file: 'src/engine/takingUp.js',
    edits: [["if (snapshot.matches('stopping'))", 'if (false)']],
    finds: 'whole',
  },
  {
    name: 'adopt always says that the process had started',
    file: 'src/engine/takingUp.js',
    edits: [["started: !snapshot.matches({ active: 'starting' })", 'started: true']],
    finds: 'whole',
  },
  {
    name: 'one attempt more than allowed',
    file: 'machines/job.js',
    edits: [['tries < pipeline.retries.attemptsMax', 'tries <= pipeline.retries.attemptsMax']],
    finds: 'direct',
  },
  {
    name: 'the time limit is ten times as long',
    file: 'machines/job.js',
    edits: [
      [
        'timeLimit: ({ context }) => context.asked.timeLimitMs',
        'timeLimit: ({ context }) => 10 * context.asked.timeLimitMs',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'the back-off is a hundred times as long',
    file: 'machines/job.js',
    edits: [['context.pipeline.retries.backoffMs * 2', '100 * context.pipeline.retries.backoffMs * 2']],
    finds: 'direct',
  },
  {
    name: 'metrics are dropped from results',
    file: 'machines/jobResult.js',
    edits: [
      [
        '        metrics,\n        datasets,\n        verdict,\n        times,',
        '        metrics: [],\n        datasets,\n        verdict,\n        times,',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'datasets are dropped from results',
    file: 'machines/jobResult.js',
    edits: [
      [
        '        metrics,\n        datasets,\n        verdict,\n        times,',
        '        metrics,\n        datasets: [],\n        verdict,\n        times,',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'the first fallback is skipped',
    file: 'machines/jobInput.js',
    edits: [
      ['fallback.flatMap(name => pipelines[name] ?? [])', 'fallback.slice(1).flatMap(name => pipelines[name] ?? [])'],
    ],
    finds: 'direct',
  },
  {
    name: 'a mark empties the shelf',
    file: 'src/engine/population.js',
    edits: [
      ['        context: snapshot.context,', "        context: kind === 'shelf' ? { items: [] } : snapshot.context,"],
    ],
    finds: 'direct',
  },
  {
    name: 'a retried job stays on the shelf',
    file: 'machines/opening.js',
    edits: [['emissions: [taken, ...opening(', 'emissions: [...opening(']],
    finds: 'direct',
  },
  {
    name: 'a mark loses the timers of groups',
    file: 'src/engine/population.js',
    edits: [['timers: [...timers],', "timers: kind === 'gather' ? [] : [...timers],"]],
    finds: 'direct',
  },
  {
    name: 'prerequisites that failed have succeeded after a mark',
    file: 'src/engine/population.js',
    edits: [['output: { jobId, outcome: { kind } } }', "output: { jobId, outcome: { kind: 'succeeded' } } }"]],
    finds: 'direct',
  },
  {
    name: 'a member accepted while the group is gathering is never combined',
    file: 'machines/gather.js',
    edits: [["[...takeLate, state('gathering')]", "[...take, state('gathering')]"]],
    finds: 'direct',
  },
  {
    name: 'the policy skip is ignored',
    file: 'machines/groupResult.js',
    edits: [["context.policy === 'partial' || reasons", "context.policy !== 'fail' || reasons"]],
    finds: 'direct',
  },
  {
    name: 'late: ignore is not heeded',
    file: 'machines/gather.js',
    edits: [["context.configuration.groups.late === 'regather' &&", '']],
    finds: 'direct',
  },
  {
    name: 'members are handed over without their metrics',
    file: 'machines/gatherJob.js',
    edits: [['metrics: output?.metrics ?? []', 'metrics: []']],
    finds: 'direct',
  },
  {
    name: 'what is partial is called complete',
    file: 'machines/groupResult.js',
    edits: [
      ["context.missing.length === 0 && failed.length === 0 && absent === 0 ? 'complete' : 'partial'", "'complete'"],
    ],
    finds: 'direct',
  },
  {
    name: 'entries follow the clock back',
    file: 'src/engine/timeline.js',
    edits: [
      ['at = Math.max(at, Math.floor(readAt + offset + stepped))', 'at = Math.floor(readAt + offset + stepped)'],
      ['stepped -= Math.min(-behind, passed * (1 - RATE_CATCHING_UP))', 'stepped += behind'],
    ],
    finds: 'direct',
  },
  {
    name: 'timers follow the clock back',
    file: 'src/engine/timeline.js',
    edits: [['elapsed: () => clock.elapsed() + offset', 'elapsed: () => clock.now() + offset']],
    finds: 'whole',
  },
  {
    name: 'promises in progress are forgotten at a mark',
    file: 'src/engine/answers.js',
    edits: [['(acks.at(-1)?.ack === IN_PROGRESS ||', '(acks.at(-1)?.ack !== IN_PROGRESS &&']],
    finds: 'whole',
  },
  {
    name: 'a JOURNAL_FULL refusal stays remembered',
    file: 'src/engine/outbox.js',
    edits: [['this.#options.answers.forget(caller.id)', '[]']],
    finds: 'whole',
  },
]
