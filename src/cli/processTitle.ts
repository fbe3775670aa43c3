import { masked } from '../bus/serverUrl.ts'

/**
 * A password in --url is seen by everybody who lists the processes of this machine, until this has been called.
 * NATS_URL is not.
 */
export function hideCredentials(argv: readonly string[]): void {
  const shown = argv.map((word, at) => (argv[at - 1] === '--url' || word.includes('://') ? masked(word) : word))
  if (shown.some((word, at) => word !== argv[at])) process.title = shown.join(' ')
}
