/// <reference lib="dom" />
/**
 * What an operator may do with the actor that is shown: abort or retry a job, close a group or retry what failed of it.
 */
import type { GroupRecord, JobRecord } from '../../night/night.ts'
import { onShelf } from '../../night/shelf.ts'
import { CommandButton } from './Confirm.tsx'
import { mayCommand } from './commanding.ts'
import { abortOffer, closeOffer, retryGroupOffer, retryJobOffer } from './offers.ts'
import { night } from './store.ts'

export function ActorCommands({ job, group }: { job: JobRecord | undefined; group: GroupRecord | undefined }) {
  if (!mayCommand.value) return null
  const tonight = night()
  const retry = group ? retryGroupOffer(tonight, group.group) : null
  return (
    <>
      {job?.isOpen === true && job.state !== 'stopping' && <CommandButton offer={abortOffer(job.jobId)} />}
      {job?.isOpen === false && onShelf(tonight).some(({ item }) => item.jobId === job.jobId) && (
        <CommandButton offer={retryJobOffer(job.jobId)} />
      )}
      {group?.state === 'open' && <CommandButton offer={closeOffer(tonight, group)} />}
      {retry && <CommandButton offer={retry} />}
    </>
  )
}
