/** What goes over NATS: lease, window and log. */
import { bugsIn } from './mutant.ts'

export const BUS_MUTANTS = [
  ...bugsIn('src/bus/nats-lease.ts', ['test/bus/nats-lease.test.ts'], {
    'counts a renewal from when it was answered': ['renewedAt = askedAt\n', 'renewedAt = leaseNow()\n'],
    'is sure for ever': ["state === 'held' && leaseNow() - renewedAt < options.ttlMs", "state === 'held'"],
    'is sure though it was given back': ["state === 'held' && leaseNow()", 'leaseNow()'],
    'takes the lease anew and does not count it': ['if (created !== null) lapses += 1', ''],
    'takes the lease of another one': ['if (current !== null && current.string() === value)', 'if (current !== null)'],
    'takes a renewal whose answer was lost for a loss': [
      'if (current !== null && current.string() === value)',
      'if (value === ``)',
    ],
    'goes on renewing what it has lost': ["state = 'lost'\n    stop()", "state = 'lost'"],
    'gives back what is another one’s': [
      "if (state !== 'held') return\n      state = 'released'",
      "state = 'released'",
    ],
    'keeps the lease when it is given back': [
      'await bucket.delete(key, { previousSeq: revision }).catch(() => {})',
      '',
    ],
    'renews late after the server is back': ['link.onBack(tryRenew)', 'link.onBack(() => {})'],
  }),
  ...bugsIn('src/bus/lease-clock.ts', ['test/bus/nats-lease.test.ts'], {
    'overlooks that the machine was suspended': ['return monotonic + jumped', 'return monotonic'],
    'goes back with the wall clock': ['if (now - ahead > JUMP_MS_MIN) jumped', 'jumped'],
  }),
  ...bugsIn('src/bus/nats-window.ts', ['test/bus/nats-window.test.ts'], {
    'takes all before for stored, whoever wrote in between': [
      'place - this.#confirmed.place === item.number - number',
      'place > this.#confirmed.place',
    ],
    'takes the place of a repeated message for a new one': [
      'const areThere = !isRepeat && number > 0',
      'const areThere = number > 0',
    ],
    'counts from a place of before the server was away': [
      '      this.#confirmed = { place: 0, number: 0 }\n      // Copies',
      '      // Copies',
    ],
    'hears answers to what was sent over the old connection': [
      '      this.#forgetCopies()\n      this.#sendAgain()',
      '      this.#sendAgain()',
    ],
    'sends again without asking': [
      'for (const item of this.inFlight) if (!item.stored) this.#send(item, true)',
      'for (const item of this.inFlight) if (!item.stored) this.#send(item, false)',
    ],
    'gives up a message while a copy is on its way': ['else if (item.copies === 0) this', 'else this'],
    'believes the answer of another stream': ["if ('stream' in answer && answer.stream !== stream) return null", ''],
    'overlooks the places its own connection takes': [
      'if (policy.ownSubjects.some(pattern => matches(pattern, subject))) this.#sent += 1',
      '',
    ],
    'sends all there is at once': [
      'const room = inFlightMax - this.inFlight.length',
      'const room = Number.MAX_SAFE_INTEGER',
    ],
    'never notices silence': [
      '      this.#sendAgain()\n    }\n    this.#watchSilence()',
      '    }\n    this.#watchSilence()',
    ],
    'sends what is new past what was refused': [
      'if (this.#closed || this.#retry !== null || !this.#link.connected()) return\n    const room',
      'if (this.#closed || !this.#link.connected()) return\n    const room',
    ],
  }),
  ...bugsIn('src/bus/nats-log-writer.ts', ['test/bus/nats-log.test.ts'], {
    'expects nothing of the newest message': ["lines.set('Nats-Expected-Last-Sequence', String(last))", ''],
    'treats another writer as nobody': ['if (other !== undefined) return this.#overtaken(item, other.id)', ''],
    'takes a repeated id for its own message': ['if (answer.isRepeat) {', 'if (answer.isRepeat && answer.place < 0) {'],
    'takes its own message, whose confirmation was lost, for another writer’s': [
      'messages.find(message => message.id === item.id && message.body === item.body)',
      'messages.find(message => message.id === `-`)',
    ],
    'takes another one’s message of the same id for its own': [
      ' || Buffer.from(kept.body).toString() !== item.body)) {',
      ')) {',
    ],
  }),
  ...bugsIn(
    'src/bus/nats-log-writer.ts',
    ['test/bus/nats.test.ts'],
    {
      'treats whoever publishes as a writer': [
        'const other = messages.find(this.#place.isWritten)',
        'const other = messages[0]',
      ],
      'marks are not found again': [
        'const subject = isMark ? this.#markSubject : this.#subject',
        'const subject = this.#subject',
      ],
    },
    'passes over what others publish',
  ),
  ...bugsIn(
    'src/bus/nats-log-writer.ts',
    ['test/journal/damage.test.ts'],
    {
      'goes on behind an older copy of the store': ['if (last < item.expected)', 'if (last < 0)'],
    },
    'an older copy of the store',
  ),
  ...bugsIn(
    'src/bus/nats-log-writer.ts',
    ['test/bus/nats-crash.test.ts'],
    {
      'goes on asking a stream that is gone': [
        'if (gone) return this.#broken(',
        "if (item.id === '') return this.#broken(",
      ],
    },
    'whose stream was removed',
  ),
]
