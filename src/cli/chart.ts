import { Argument, type Command, Option } from 'commander'
import { machines, type MachineKind } from '../../machines/index.ts'
import { UserError } from '../userError.ts'
import { examples, type SharedOptions } from './session.ts'

/** `ocps chart`: the statechart of a machine as a picture. Needs no instance. */
interface Options extends SharedOptions {
  readonly state?: string
  readonly format: 'svg' | 'json'
}

export function addChart(program: Command): void {
  program
    .command('chart')
    .summary('draw the statechart of a machine')
    .description('Draw the statechart of a machine, as SVG on standard output. It is drawn from what OCPS runs.')
    .addArgument(new Argument('<machine>', 'which').choices(Object.keys(machines)))
    .option('--state <state>', 'show it as active, such as fault, or held.awaitingData of a job')
    .addOption(
      new Option('--format <format>', 'svg, or json: picture, states with their places, transitions')
        .choices(['svg', 'json'])
        .default('svg'),
    )
    .addHelpText(
      'after',
      examples(`
        ocps chart job > job.svg
        ocps chart csc --state fault > fault.svg
        ocps chart gather --format json | jq -r '.edges[].id'`),
    )
    .action(async (kind: MachineKind, _options: unknown, command: Command) => {
      const { state, format, json = false } = command.optsWithGlobals<Options>()
      process.stdout.write(await draw(kind, state, json ? 'json' : format))
    })
}

async function draw(kind: MachineKind, state: string | undefined, format: Options['format']): Promise<string> {
  // Loaded here, so that other verbs do not load it.
  const { chartOf } = await import('../inspector/chart/chart.ts')
  const plain = await chartOf(kind)
  const chart = state === undefined ? plain : await chartOf(kind, { active: [idOf(kind, state, plain.states)] })
  return format === 'json' ? `${JSON.stringify(chart)}\n` : chart.svg
}

/** A state by its id, its path in the machine, or its name alone. */
function idOf(
  kind: MachineKind,
  state: string,
  states: readonly { readonly id: string; readonly name: string }[],
): string {
  const found =
    states.find(({ id }) => id === state || id === `${kind}.${state}`) ?? states.find(({ name }) => name === state)
  if (found) return found.id
  const paths = states.flatMap(({ id }) => (id === kind ? [] : [id.slice(kind.length + 1)]))
  throw new UserError(`${kind} has no state ${JSON.stringify(state)}; it has ${paths.join(', ')}`)
}
