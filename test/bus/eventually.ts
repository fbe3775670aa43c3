/**
 * Waits for a condition that another process or connection brings about. Fails with the title when it does not come.
 */
const patienceMs = 20_000
const pollMs = 5

export async function eventually(
  title: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = patienceMs,
): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`It did not happen within ${withinMs} ms: ${title}`)
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

export async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => 'it did not reject',
    (error: unknown) => error,
  )
}
