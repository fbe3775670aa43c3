/** What an instance says and when: gate, presence, timeline, feed, and the locks on its directories. */
import { bugsIn } from './mutant.ts'

export const INSTANCE_MUTANTS = [
  ...bugsIn('src/instance/gate.ts', ['test/instance/gate.test.ts'], {
    'lets out while the lease may have run out': ['if (isSure()) return act()', 'if (!isAsking) return act()'],
    'what comes later overtakes what waits': ['!isShut && !isAsking && lease', '!isShut && lease'],
    'asks nobody after the lease had lapsed': ['await isOurs().catch(() => null)', 'true as boolean | null'],
    'takes a journal that cannot be asked for ours': ['.catch(() => null)', '.catch(() => true)'],
    'keeps to itself that another one has written': ['if (ours === false) onLost()', ''],
    'overlooks that the lease lapsed again meanwhile': ['lapsesSeen = lapses\n', 'lapsesSeen = lease.lapses()\n'],
    'goes on letting out once shut': ['if (!isShut) act()', 'act()'],
    'goes on asking once shut': ['      if (isShut) return\n      await', '      await'],
  }),
  ...bugsIn('src/instance/presence.ts', ['test/instance/presence.test.ts'], {
    'makes up for the heartbeats of a frozen process': [
      'next + HEARTBEAT_MS > now ? next + HEARTBEAT_MS : now + HEARTBEAT_MS',
      'next + HEARTBEAT_MS',
    ],
    'beats on after the end': ['        unwake()\n', ''],
    'says every line, whatever the log level': ['if (message.level >= context().logLevel) ', ''],
    'counts levels as pino does': ['level - 10)', 'level)'],
    'keeps the first lines from before the bus, not the last': ['.slice(-EARLY_MAX)', '.slice(0, EARLY_MAX)'],
    'announces overrides that are not applied': ["state === 'standby' || applied === null", 'true'],
    'announces a change again every second': ['        seen = { of, version }\n', ''],
    'overlooks what changed between reading and the first look': [
      'source.relevantWhenLoaded(of)) ?? version',
      'null) ?? version',
    ],
  }),
  ...bugsIn('src/engine/timeline.ts', ['test/engine/timeline.test.ts'], {
    'a step of the clock moves all timers': [
      'elapsed: () => clock.elapsed() + offset',
      'elapsed: () => clock.elapsed() + offset + stepped',
    ],
    'a step of the clock moves what is woken': [
      'clock.wake(due - offset, call)',
      'clock.wake(due - offset - stepped, call)',
    ],
    'entries run backwards': [
      'at = Math.max(at, Math.floor(readAt + offset + stepped))',
      'at = Math.floor(readAt + offset + stepped)',
    ],
    'a step back stops time until the clock has caught up': [
      'Math.min(-behind, passed * (1 - RATE_CATCHING_UP))',
      '-behind',
    ],
    'two readings that are no pair are a step': ['if (now - before > READ_MS_MAX) return', ''],
    'goes by the anchor of another run of the machine': ['|| before.anchor.boot !== clock.boot', ''],
    'goes by an anchor of before the machine was put back': [
      'readAt + offsetMs < elapsedAt(before) ? null : offsetMs',
      'offsetMs',
    ],
    'forgets the steps of the process before': ['let stepped = before.steppedMs ?? 0', 'let stepped = 0'],
  }),
  ...bugsIn('src/sinks/nats/feed.ts', ['test/sinks/feed.test.ts', 'test/sinks/lastSaid.test.ts'], {
    'acknowledges before the events of the command are stored': [
      "if (id === '' || entryOf(id) !== entryOfLastEvent) return",
      'return',
    ],
    'acknowledges only when the jobState is stored': [
      "if (announcement.topic !== 'jobState') entryOfLastEvent",
      'entryOfLastEvent',
    ],
    'waits for every command until an event of another one is stored': [
      "if (id === '' || entryOf(id) !== entryOfLastEvent) return",
      "if (id === '') return",
    ],
    'waits two thousand seconds for the stream': ['delay(STORED_MS,', 'delay(1_000 * STORED_MS,'],
    'takes for stored what came while it asked': ['unstored = unstored.slice(asked)', 'unstored = []'],
    'takes for stored what was on its way when the bus closed': [
      '    } catch {\n      // The bus is closed: what',
      '    } catch {\n      unstored = []\n      // The bus is closed: what',
    ],
    'sends telemetry over the connection of the events': ['telemetry.publish(to', 'bus.publish(to'],
    'leaves out whose an id is': ['id: `${instance}:${id}`', 'id'],
    'believes any number of an entry': [
      'entryNumber(instance, id) < lastN + AHEAD_MAX',
      'entryNumber(instance, id) < Number.POSITIVE_INFINITY',
    ],
  }),
  ...bugsIn('src/instance/workDirectory.ts', ['test/instance/workDirectory.test.ts'], {
    'gives the directory to anybody': ['owner.journal === journal', 'owner.journal !== undefined'],
    'refuses the process that has taken over the journal': ['owner.journal === journal', 'owner.journal === ``'],
    'knows a journal by its name only': ['`${journal} made ${created ?? `at ${bus.server.url}`}`', 'journal'],
    'never lets go': ['return () => lock.release()', 'return async () => {}'],
  }),
  ...bugsIn('src/lockFile.ts', ['test/lockFile.test.ts'], {
    'takes the lock of a living owner': ['&& (await lives(found, path))) throw', '&& found.owner < 0) throw'],
    'believes a pid that was given to another process': [
      'isAlive({ pid: owner, startTime })',
      'identityOf(owner) !== null',
    ],
    'believes a pid of before the machine was started': [
      'if (boot !== undefined && boot !== bootId()) return false',
      '',
    ],
    'releases the lock of whoever took it over': ['if ((await textIn(path)) === mine) await rm(path', 'await rm(path'],
    'says its facts over those of whoever took it over': ['if ((await textIn(path)) !== mine) return', ''],
    'looks for an owner on another machine among its own processes': [
      'if (host !== undefined && host !== hostname()) return',
      'if (host === ``) return',
    ],
    'refuses for ever where half a lock was written': [
      "    return typeof lock?.owner === 'number' ? (lock as Owner & Partial<Facts>) : null\n  } catch {\n    return null",
      "    return typeof lock?.owner === 'number' ? (lock as Owner & Partial<Facts>) : null\n  } catch (error) {\n    throw error",
    ],
  }),
]
