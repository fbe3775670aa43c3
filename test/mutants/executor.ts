/** What starts, follows and reads processes, and what they leave behind. */
import { bugsIn } from './mutant.ts'

const C = 'launcher: c'

export const EXECUTOR_MUTANTS = [
  ...bugsIn('src/executor/ledger.ts', ['test/executor/ledger.test.ts'], {
    'takes a launcher of before the machine was started for living': [
      'launcher.bootId === bootId() && isAlive(launcher)',
      'isAlive(launcher)',
    ],
    'loses a line that was half written': ["file.rest = lines.pop() ?? ''", "lines.pop()\n      file.rest = ''"],
    'reads everything again each time': ['file.position += text.length - file.rest.length', ''],
    'overlooks that an attempt was begun again': [
      'return void entries.set(said.key, fresh)',
      'return void entries.set(said.key, { ...before, launcher })',
    ],
    'does not hear that a launcher starts nothing more': [
      'deaf.add(file.launcher.pid)',
      'deaf.delete(file.launcher.pid)',
    ],
    'removes by the clock alone': [
      'const present = Math.min(nowMs, Math.max(...paths.map(writtenAt)))',
      'const present = nowMs',
    ],
    'removes what a living launcher writes': ['if (launcher === null || !isLauncherAlive(launcher)) rmSync', 'rmSync'],
    'never removes anything': ['present - writtenAt(path) <= KEPT_MS', 'present - writtenAt(path) <= 100 * KEPT_MS'],
    'lets two instances work in one directory': ["if (owner !== '' && owner !== instance)", "if (owner === '/')"],
    'signals processes that only have the pid of a launcher': [
      'if (launcher === null || !isLauncherAlive(launcher)) continue',
      'if (launcher === null) continue',
    ],
  }),
  ...bugsIn('src/executor/orphans.ts', ['test/executor/orphans.test.ts'], {
    'tells again and again that it started': ['      one.toldStarted = true\n', ''],
    'follows a process of before the machine was started': [
      'if (entry.process && isSameBoot(entry) && isAlive(entry.process)) return',
      'if (entry.process && isAlive(entry.process)) return',
    ],
    'does not wait until the launcher says how it ended': [
      ' || performance.now() - one.goneSinceMs < ENDING_MS_MAX) return',
      ') return',
    ],
    'waits for ever until the launcher says how it ended': [
      'performance.now() - one.goneSinceMs < ENDING_MS_MAX',
      'one.goneSinceMs > 0',
    ],
    'waits for its own launcher to begin it': ['launcher.pid !== ownLauncher() && !one', '!one'],
    'begins again what a launcher may begin yet': [
      'if (mayBegin && performance.now() - one.sinceMs < NOT_GIVEN_MS) return',
      '',
    ],
    'kills without the grace': ['>= one.grace.ms', '>= 0'],
    'shortens the grace when it is asked again': ['one.grace ??=', 'one.grace ='],
    'forgets that a stopped process hears no SIGTERM': ["    signalGroup(leader.pid, 'SIGCONT')\n", ''],
    'looks though it may not be the active one': ['whenActive(lookNow)', 'lookNow()'],
    'stops though it may not be the active one': [
      'if (leader) whenActive(() => stopIfAsked(one, leader))',
      'if (leader) stopIfAsked(one, leader)',
    ],
    'leaves a launcher stopped that a job has stopped': [
      'isStopped(launcher)) wake(launcher.pid)',
      'isStopped(launcher)) continue',
    ],
  }),
  ...bugsIn('src/executor/reportsFile.ts', ['test/executor/reportsFile.test.ts'], {
    'hears the last report of an earlier life again': [
      'if (lines <= heardBefore) return',
      'if (lines < heardBefore) return',
    ],
    'keeps half a line in a buffer that is read into again': ['held.push(Buffer.from(rest))', 'held.push(rest)'],
    'takes a dataset out of the directory': ['if (!real.startsWith(', 'if (real === String('],
    'overlooks that the file was begun anew': ['if (status.size < position)', 'if (status.size < 0)'],
    'reads as many bytes as there are': ['if (bytesRead >= REPORTS_BYTES_MAX)', 'if (bytesRead < 0)'],
    'reads as many blank lines as there are': ['if (linesRead > LINES_MAX) return', 'if (linesRead < 0) return'],
    'hears as many reports as there are': ['isOver = lines > REPORTS_MAX\n', 'isOver = lines < 0\n'],
    'reads what is no regular file': ['if (!status.isFile()) return over(', 'if (status.isFIFO()) return over('],
    'loses the last line where it has no newline': ['if (heldBytes > 0) endLine(Buffer.alloc(0))', ''],
  }),
  ...bugsIn('src/jobFiles/untrusted.ts', ['test/jobFiles/openUntrusted.test.ts'], {
    'follows a link in the place of the file': [
      'const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK',
      'const READ = O_RDONLY | O_NONBLOCK',
    ],
    'follows a link in the place of a directory': ['O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK', 'O_DIRECTORY | O_NONBLOCK'],
    'waits at a FIFO': ['const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK', 'const READ = O_RDONLY | O_NOFOLLOW'],
    'reads as much as there is': ['Math.min(bytesMax, size - from)', 'size - from'],
    'goes upwards': [" || names.includes('..')) return null", ') return null'],
    'reads what is no regular file': ['!stat.isFile() || ', ''],
    'reads a file of another owner': ['stat.uid !== home.uid || ', ''],
  }),
  ...bugsIn('src/executor/launchers.ts', ['test/executor/launchers.test.ts'], {
    'drops what was asked while there was no launcher': ['for (const request of waiting) opened.send(request)', ''],
    'asks again what it asked before': ['opened.send(request)\n    waiting = []', 'opened.send(request)'],
    'goes on with a launcher that starts nothing more': [
      "'another OCPS told it to start nothing more'))",
      "''), 0 as never)",
    ],
    'tries a launcher that dies at once for ever': [
      'if (silentDeaths >= SILENT_DEATHS_MAX) {',
      'if (silentDeaths >= 4) {',
    ],
    'gives up launchers that work, when three of them died': [
      'silentDeaths = options.died(opened.pid, reason) ? 0 : silentDeaths + 1',
      'options.died(opened.pid, reason)\n        silentDeaths += 1',
    ],
    'leaves a launcher running that was opened while all was closed': [
      'if (closed) return opened.close()',
      'if (closed) return',
    ],
    'takes the launcher in Perl though the one in C was asked for': [
      'if (options.kind !== null) await first(options.kind)',
      "if (options.kind === 'fallback') await first(options.kind)",
    ],
  }),
  ...bugsIn(
    'src/executor/launcher.ts',
    ['test/executor/launcher.test.ts'],
    {
      'waits for ever for a launcher that does not answer': [
        'if (silentLooks > SILENT_LOOKS_MAX) {',
        'if (silentLooks < 0) {',
      ],
    },
    'that does not answer',
  ),
  ...bugsIn(
    'src/executor/launcher.ts',
    ['test/executor/launcher.test.ts'],
    {
      'gives up a launcher that answers': ['      silentLooks = 0\n      const lines', '      const lines'],
    },
    '(c) that answers is kept',
  ),
  ...bugsIn(
    'src/executor/launcher.ts',
    ['test/executor/launcher.test.ts'],
    {
      'waits for a launcher that was stopped': ['silentLooks > 1 && isStopped(self)', 'silentLooks < 0'],
    },
    '(c) that a job stops',
  ),
  ...bugsIn(
    'src/executor/launcher.c',
    ['test/executor/subprocess.test.ts', 'test/executor/leftBehind.test.ts'],
    {
      'kills without the grace': ['nowUs() + strtoull(field[3], 0, 10) * 1000u', 'nowUs()'],
      'stops the process and not its group': ['  kill(-j->pid, sig);\n', '  kill(j->pid, sig);\n'],
      'leaves behind what left the group': ['  strays(j, sig);\n  j->stoppedBy', '  j->stoppedBy'],
      'writes no ledger': ['  ledgerWrite(line, (size_t)n);\n  uint64_t at', '  uint64_t at'],
      'starts more than there is room for': ['return !p->capacity || ', 'return 1 || '],
      'begins what it was told to begin no more': ['if (count < 10 || isDeaf()) return;', 'if (count < 10) return;'],
      'loses what is still in the pipe of a job that has ended': [
        'for (int turns = 32; turns-- && drain(j, s);) {}',
        '',
      ],
      'gives a second attempt the directory of the first': [
        '    if (rename(dir, aside)) return -1;\n    return mkdir(dir, 0777);',
        '    return 0;',
      ],
      'runs what was taken off again': ['      removeWaiting(p, at);\n      return 1;', '      return 1;'],
    },
    C,
  ),
  ...bugsIn(
    'src/executor/launcher.c',
    ['test/jobFiles/untrusted.test.ts'],
    {
      'writes where a link leads': [
        'O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_APPEND',
        'O_CREAT | O_NONBLOCK | O_APPEND',
      ],
    },
    C,
  ),
]
