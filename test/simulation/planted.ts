import { MUTANTS_AT_THE_EDGES } from './plantedEdges.ts'

/**
 * Bugs planted by hand, each a replacement in the compiled program: machines, how they are stepped, world, inbox,
 * answers. The simulation must find every one; `finds` says in which kind of night it is looked for.
 */
export interface Mutant {
  readonly name: string
  /** Below the compiled program's root. */
  readonly file: string
  readonly edits: readonly (readonly [from: string, to: string])[]
  /** whole: nights through the engine itself, because that is where the bug is. */
  readonly finds: 'direct' | 'whole'
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a slot is not freed when its job ends',
    file: 'machines/standing.js',
    edits: [['slotsTaken: standing.slotsTaken - slots }', 'slotsTaken: standing.slotsTaken }']],
    finds: 'direct',
  },
  {
    name: 'a job handed over in advance is told of more slots than there are',
    file: 'machines/domain/configuration.js',
    edits: [['{ capacity: slots }', '{ capacity: slots + prefetch }']],
    finds: 'direct',
  },
  {
    name: 'a job handed over in advance does not say how many slots there are',
    file: 'machines/jobAttempt.js',
    edits: [['...(capacity !== undefined && { capacity: pipeline.pool?.slots ?? capacity }),', '']],
    finds: 'direct',
  },
  {
    name: 'more is handed over in advance than prefetch says',
    file: 'machines/standing.js',
    edits: [
      [
        'Math.min(slots, slots + (configuration.prefetch ?? 0) - slotsTaken)',
        '(configuration.prefetch ?? 0) > 0 ? slots : slots - slotsTaken',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'a paused queue grants slots',
    file: 'machines/queue.js',
    edits: [
      [
        'paused: {\n                    on: {',
        "paused: {\n                    always: { guard: 'isNextFitting', actions: 'grantSlot' },\n                    on: {",
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'priority is ignored',
    file: 'machines/domain/waitingList.js',
    edits: [['add(list, priority, waiting) {', 'add(list, priority, waiting) {\n    priority = 0;']],
    finds: 'direct',
  },
  {
    name: 'the newest is taken from the wrong end',
    file: 'machines/domain/waitingList.js',
    edits: [['chunks?.at(-1)?.at(-1)', 'chunks?.at(-1)?.[0]']],
    finds: 'direct',
  },
  {
    name: 'a gather does not wait for its last member',
    file: 'machines/gather.js',
    edits: [['!membersOf(context).some(isAwaited)', 'membersOf(context).filter(isAwaited).length <= 1']],
    finds: 'direct',
  },
  {
    name: 'a late member is not awaited',
    file: 'machines/gather.js',
    edits: [['!membersOf(context).some(isAwaited)', '(context.revision > 0 || !membersOf(context).some(isAwaited))']],
    finds: 'direct',
  },
  {
    name: 'members are counted instead of identified',
    file: 'machines/gather.js',
    edits: [
      [
        'exposures(context.members, member.dataId.obsid).size >= expected',
        'Object.keys(context.members).length + 1 >= expected',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'a closure does not raise the revision',
    file: 'machines/gather.js',
    edits: [['revision: context.revision + 1', 'revision: Math.max(1, context.revision)']],
    finds: 'direct',
  },
  {
    name: 'the exit code overwrites the first reason',
    file: 'machines/job.js',
    edits: [
      [
        'context.outcome ? { outcome: ending(context.outcome, exited) } : byItself(context, exited)',
        'byItself(context, exited)',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'a retry keeps the number of its attempt',
    file: 'machines/jobAttempt.js',
    edits: [['attempt: attempt + 1', 'attempt']],
    finds: 'direct',
  },
  {
    name: 'a report of an earlier attempt is heard',
    file: 'machines/job.js',
    edits: [['attempt }) => attempt === context.attempt', 'attempt }) => attempt <= context.attempt']],
    finds: 'direct',
  },
  {
    name: 'where a paused queue was is forgotten',
    file: 'src/stepping/compile.js',
    edits: [['run.history = { ...run.history, ...move.kept }', 'run.history = run.history']],
    finds: 'direct',
  },
  {
    name: 'what leads on without an event is taken once at most',
    file: 'src/stepping/compile.js',
    edits: [['taken; taken = select(run.place.always, run))', 'taken; taken = undefined)']],
    finds: 'direct',
  },
  {
    name: 'what is done on leaving a state is left out',
    file: 'src/stepping/compile.js',
    edits: [['perform(move.exit, run);', ';']],
    finds: 'direct',
  },
  {
    name: 'a transition is prepared for the first state it is taken from',
    file: 'src/stepping/compile.js',
    edits: [['candidate.moves.get(place) ??', '[...candidate.moves.values()][0] ??']],
    finds: 'direct',
  },
  {
    name: 'what an assignment leaves out is lost',
    file: 'src/stepping/acts.js',
    edits: [['return { ...doing.context, ...assignment(doing, params) }', 'return assignment(doing, params)']],
    finds: 'direct',
  },
  {
    name: 'a timer is not cancelled',
    file: 'src/engine/world.js',
    edits: [['actor.timers.delete(change.cancel);', ';']],
    finds: 'direct',
  },
  {
    name: 'who watches an actor that has ended is not answered',
    file: 'src/engine/world.js',
    edits: [
      [
        'watched.watchers.add(actor.address);\n                else',
        'watched.watchers.add(actor.address);\n                else if (false)',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'a quiescent entry is written while a job is open',
    file: 'src/engine/population.js',
    edits: [['this.#byKind.job.size > 0 ||', '']],
    finds: 'direct',
  },
  {
    name: 'a checkpoint forgets who watches whom',
    file: 'src/engine/population.js',
    edits: [['...(watchers.size > 0 && { watchers: [...watchers] }),', '']],
    finds: 'direct',
  },
  {
    name: 'a checkpoint forgets where a paused queue was',
    file: 'src/engine/population.js',
    edits: [['[id, nodes.map(node => node.id)]', '[id, []]']],
    finds: 'direct',
  },
  {
    name: 'a checkpoint that was cut off is put together with the next',
    file: 'src/engine/checkpoint.js',
    edits: [
      ['if (part === 1)\n                texts = [];', ''],
      ['if (part !== texts.length + 1)\n                return null;', ''],
    ],
    finds: 'direct',
  },
  {
    name: 'the time of the day decides',
    file: 'src/engine/world.js',
    edits: [
      [
        'const due = elapsedAt(this.#entry) + change.delayMs',
        'const due = elapsedAt(this.#entry) + change.delayMs + (performance.now() % 2 < 1 ? 0 : 1)',
      ],
    ],
    finds: 'direct',
  },
  {
    name: 'the same message id is executed twice',
    file: 'src/engine/answers.js',
    edits: [["return { as: 'repeated', acks: before.acks };", "return { as: 'new' };"]],
    finds: 'direct',
  },
  {
    name: 'answers are forgotten when OCPS dies',
    file: 'src/engine/recovery.js',
    edits: [['answers.recall(caller.id', 'void (caller.id']],
    finds: 'whole',
  },
  {
    name: 'the inbox delivers before it has written',
    file: 'src/engine/inbox.js',
    edits: [
      [
        'await journal.append(entries);',
        'for (const entry of entries)\n                        deliver(entry);\n                    await journal.append(entries);',
      ],
      ['return;\n                    deliver(entry);', 'return;'],
    ],
    finds: 'whole',
  },
  {
    name: 'who has lost the journal goes on',
    file: 'src/engine/inbox.js',
    edits: [
      [
        'else\n                        return lose(error);\n                    continue;',
        "else if (error.code !== 'FENCED')\n                        return lose(error);\n                    if (error.code !== 'FENCED')\n                        continue;",
      ],
    ],
    finds: 'whole',
  },
  {
    name: 'everything is said again after a recovery',
    file: 'src/engine/recovery.js',
    edits: [['isAfter(effect.id, lastSaid)', 'true']],
    finds: 'whole',
  },
  {
    name: 'nothing is said again after a recovery',
    file: 'src/engine/recovery.js',
    edits: [['isAfter(effect.id, lastSaid)', 'false']],
    finds: 'whole',
  },
  {
    name: 'what was said before a checkpoint and may not be stored is not said again',
    file: 'src/engine/recovery.js',
    edits: [['unsaid.push(...whole.unsaid.filter(({ id }) => isAfter(id, lastSaid)));', ';']],
    finds: 'whole',
  },
  {
    name: 'what a checkpoint holds of the answers is forgotten',
    file: 'src/engine/recovery.js',
    edits: [['answers.settleInto(whole.answers, at);', ';']],
    finds: 'whole',
  },
  {
    name: 'what was running is not taken up after a recovery',
    file: 'src/engine/engine.js',
    edits: [['takeUp({ world, executor, locator, log });', '']],
    finds: 'whole',
  },
  ...MUTANTS_AT_THE_EDGES,
]
