/** The chart of every kind of machine, drawn once when the inspector starts; pages only light them. */
import { machines, type MachineKind } from '../../machines/index.ts'
import { chartOf } from './chart/chart.ts'
import type { Charts } from './pageFiles.ts'

export async function drawCharts(): Promise<Charts> {
  const kinds = Object.keys(machines) as MachineKind[]
  const drawn = await Promise.all(kinds.map(async kind => [kind, { svg: (await chartOf(kind)).svg }] as const))
  return Object.fromEntries(drawn)
}
