import { z } from 'zod'
import type { Incoming } from '../bus/port.ts'
import { decodeOwn } from '../contract/decode.ts'
import { decodeQuery } from '../contract/decodeQuery.ts'
import { fitting } from '../contract/fit.ts'
import { subjects } from '../contract/subjects.ts'
import type { Door, DoorContext, DoorPart } from '../parts.ts'
import { callerOf, replyOf } from './natsCaller.ts'

/**
 * The door on NATS: commands on `ocps.<instance>.cmd.*` and queries on `qry.*` are decoded and handed in at the desk.
 * Commands in other words than ours on the same subjects are left to the doors that know them.
 */
export const natsDoor: DoorPart = {
  name: 'nats',
  settings: z.strictObject({}).default({}),
  open: openNatsDoor,
}

function openNatsDoor({ bus, instance, desk, heardElsewhere }: DoorContext): Door {
  const to = subjects(instance)
  const subscriptions = [bus.subscribe(to.commands, hearCommand), bus.subscribe(to.queries, hearQuery)]
  return {
    async close() {
      for (const subscription of subscriptions) await subscription.stop()
    },
  }

  function hearCommand(message: Incoming): void {
    const name = message.subject.slice(to.commands.length - 1)
    if (heardElsewhere.has(name)) return
    const { caller, refusal } = callerOf(message)
    const decoding = refusal ? { ok: false as const, refusal } : decodeOwn(name, message.body, instance, heardElsewhere)
    desk.command(name, decoding, caller)
  }

  function hearQuery(message: Incoming): void {
    const reply = replyOf(message)
    if (reply === null) return
    const name = message.subject.slice(to.queries.length - 1)
    void desk
      .ask(name, decodeQuery(name, message.body), callerOf(message).caller)
      .then(body => bus.publish(reply, fitting(body, bus.server.maxPayload)))
      // The bus is closed: nobody can be answered any more.
      .catch(() => {})
  }
}
