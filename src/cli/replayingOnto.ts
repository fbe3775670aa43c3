import type { ExitCode } from './exitCodes.ts'
import type { ReplayOptions } from './replay.ts'
export async function sendOnto(_path: string, _url: string, _options: ReplayOptions): Promise<ExitCode> {
  throw new Error('soon')
}
