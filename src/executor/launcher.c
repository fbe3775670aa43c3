/*
 * The launcher: a small process that starts the jobs of one OCPS, so that the event loop of OCPS never forks. It writes how each job
 * began and ended to a ledger file before it tells OCPS, and goes on until its last job has ended when OCPS dies. It decides nothing:
 * what to start and when to stop is told to it; launcher.pl keeps the same contract (test/executor/contract.ts) where no C compiler is.
 *
 * Asked on stdin, each request `<length>\n` and then that many bytes of fields, every field ended by NUL:
 *   R id attempt dir outputMaxBytes members slots capacity pool argc argv… envc env…
 *                                                                    run (members: text of members.json, "" for none)
 *   K id attempt graceMs                                             stop: TERM, after the grace KILL; F for one that waits here
 *   O slots pool                                                     so many of the capacity are taken by processes of other launchers
 *   W                                                                are you there?
 * Said on stdout, one line each; all but H and W also stand in the ledger (there H is written L, and P comes before the fork):
 *   H pid startTime bootId ledgerFile
 *   W                                                                answers W at once, before anything asked later is begun
 *   S id attempt pid startTime
 *   Q pid 0                                                          from now on it starts nothing: it was sent SIGURG
 *   F id attempt errno where                                         it never ran
 *   E id attempt status wallUs userUs systemUs peakKiB stdoutBytes stderrBytes stoppedBy survivors
 * What can wait is held for HELD_US, so that more of it leaves in one write; launcher.pl says everything at once.
 * A job is started when its slots and those of the jobs of its pool that run fit the pool's capacity (the one heard last; 0: there is
 * always room), after those of the pool that came before it; until then its request waits here and stands nowhere in the ledger. One
 * larger than the capacity runs alone in its pool. Pools do not hold up each other.
 *
 * status is an exit code, or minus a signal; stoppedBy is 0, 15 or 9. startTime is field 22 of /proc/<pid>/stat on Linux, elsewhere
 * the time of day in seconds.
 *
 * stdout and stderr of a job are pipes to this process, which writes at most outputMaxBytes of each to a file and counts the rest.
 * Rejected: files given to the job itself with RLIMIT_FSIZE (kills the job, and hits its science files too) or cut afterwards (the
 * disk is full before anyone looks). A pipe to us does not die with OCPS; should this process be killed, a job gets SIGPIPE at its
 * next write to stdout or stderr. A file is created at its first byte only: quiet jobs cost no create (25-360 us each on ext4).
 * A job may rearrange its directory as it likes: we hold the directory from before it began, and whatever it put under the name of an
 * output is removed, never opened, for a FIFO would stop us and a link would lead us elsewhere.
 */
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/signalfd.h>
#endif

#define REQUEST_MAX (64u << 20)          /* a members.json of a 1 000-member group is about 1 MB; more than this is not ours */
#define LEDGER_MAX (4 << 20)             /* then a new file is begun and the last but one removed: about 25 000 jobs are kept */
#define LEFTOVER_GRACE_US 1000000        /* from TERM to KILL for processes a job left behind: nobody waits for them any more */
#define PROOF_US 3000000                 /* after KILL: longer than any sane exit; then survivors are counted and said */
#define RECHECK_US 10000                 /* how often a group that should be gone is looked at, where no SIGCHLD tells */
#define TAIL_BYTES 2048                  /* of a cut stream the last words are kept too: they say why it failed */
#define TAIL_ROOM (TAIL_BYTES + 64)      /* … with a line that says what is missing */
#define CHUNK 65536                      /* the capacity of a pipe: no stream is read for longer than that before others have a turn */
#define BUCKETS 4096
#define HELD_US 5000                     /* what can wait is told together: that a job has started, and while others wait here, so that no slot stands empty for it, that one has ended */

struct stream { int pipe, file; const char *name; uint64_t seen, head, tailed; char *tail; };
struct job {
  struct job *next, *nextByPid;
  char *id, *attempt, *dir;
  pid_t pid;
  uint64_t startedUs, wallUs, outputMax, killAtUs, proofAtUs;
  long slots;
  struct pool *pool;
  int home, ended, stoppedBy, survivors, stopping;      /* home: its directory */
  int status;
  struct rusage usage;
  struct stream stream[2];
};

/* A job that waits for a slot: its request as it came. Bounded by OCPS, which hands over no more than its configuration's prefetch. */
struct waiting { struct waiting *next; size_t length; char body[]; };
struct pool {
  struct pool *next;
  char *name;
  int running;
  long capacity, taken, elsewhere;       /* slots: in all, of our jobs, of processes of other launchers */
  struct waiting *first, **last;
};

static struct job *jobs, *byPid[BUCKETS];
static struct pool *pools;               /* as many as the configuration ever named */
static int running, waitingNow;          /* jobs, in all pools */
static volatile sig_atomic_t deaf;
static int ledger = -1, ledgerSequence, children = -1, stdinOpen = 1, wake = -1;
static off_t ledgerBytes;
static char ledgerFile[4096], ledgerBefore[4096], bootId[64] = "-";
static const char *ledgerDir;
static uint64_t selfStart;
static struct rlimit files;
static char *out; static size_t outUsed, outSize;
static uint64_t sayAtUs;                 /* what is in out leaves then; 0: at once */
static char *in; static size_t inUsed, inSize;

static void *must(void *p) { if (!p) _exit(70); return p; }

static uint64_t nowUs(void) {
  struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static ssize_t readSmall(const char *path, char *buffer, size_t size) {
  int f = open(path, O_RDONLY | O_CLOEXEC);
  if (f < 0) return -1;
  ssize_t n = read(f, buffer, size - 1);
  close(f);
  buffer[n > 0 ? n : 0] = 0;
  return n;
}

/* Field 22 of /proc/<pid>/stat, and the state letter; 0 where there is none. The name in field 2 may hold anything but ends at the last ')'. */
static uint64_t startTime(pid_t pid, char *state) {
#ifdef __linux__
  char path[64], text[1024], *at;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (state) *state = 0;
  if (readSmall(path, text, sizeof text) <= 0 || !(at = strrchr(text, ')'))) return 0;
  at += 2;
  if (state) *state = *at;
  for (int field = 3; field < 22 && (at = strchr(at, ' ')); field++) at++;
  return at ? strtoull(at, 0, 10) : 0;
#else
  (void)pid; if (state) *state = 'R';
  return (uint64_t)time(0);
#endif
}

/* ---- what is said ---- */

static void say(const char *text, size_t n) {
  if (outUsed + n > outSize) out = must(realloc(out, outSize = (outUsed + n) * 2));
  memcpy(out + outUsed, text, n); outUsed += n;
}

/* Bounded by the jobs OCPS has given us: two lines each. OCPS gone (EPIPE): nobody listens, the ledger has it all. */
static void flushOut(void) {
  size_t at = 0;
  if (sayAtUs && nowUs() < sayAtUs) return;
  sayAtUs = 0;
  while (at < outUsed) {
    ssize_t n = write(1, out + at, outUsed - at);
    if (n > 0) { at += (size_t)n; continue; }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    at = outUsed;
  }
  memmove(out, out + at, outUsed - at); outUsed -= at;
}

static void ledgerOpen(void) {
  char line[256]; int n;
  if (ledger >= 0) {
    close(ledger);
    if (*ledgerBefore) unlink(ledgerBefore);
    memcpy(ledgerBefore, ledgerFile, sizeof ledgerFile);
  }
  static long since; if (!since) since = (long)time(0);
  snprintf(ledgerFile, sizeof ledgerFile, "%s/%010ld-%d-%04d", ledgerDir, since, (int)getpid(), ledgerSequence++);
  ledger = open(ledgerFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  n = snprintf(line, sizeof line, "L %d %llu %s\n", (int)getpid(), (unsigned long long)selfStart, bootId);
  ledgerBytes = ledger >= 0 && write(ledger, line, (size_t)n) > 0 ? n : 0;
}

static int ledgerWrite(const char *line, size_t n);

/* A full file is followed by a new one that begins with the jobs still running, so the last two files always tell everything. */
static void ledgerRotate(void) {
  ledgerOpen();
  for (struct job *j = jobs; j; j = j->next) {
    char line[512];
    int n = snprintf(line, sizeof line, "S %s %s %d %llu\n", j->id, j->attempt, (int)j->pid, (unsigned long long)startTime(j->pid, 0));
    if (!j->ended) ledgerWrite(line, (size_t)n);
  }
}

/* Returns 0 or an errno. A line that went in only in part (disk full) is closed by the newline the next one begins with. */
static int ledgerWrite(const char *line, size_t n) {
  static int torn; ssize_t wrote;
  if (ledger < 0) ledgerOpen();
  if (ledger < 0) return errno;
  if (torn && write(ledger, "\n", 1) == 1) torn = 0;
  wrote = write(ledger, line, n);
  if (wrote > 0) ledgerBytes += wrote;
  if (wrote == (ssize_t)n) return 0;
  torn = wrote > 0;
  return wrote < 0 ? errno : ENOSPC;
}

static void record(const char *format, ...) {
  char line[1024]; va_list arguments;
  va_start(arguments, format); int n = vsnprintf(line, sizeof line, format, arguments); va_end(arguments);
  ledgerWrite(line, (size_t)n);
  uint64_t at = *line == 'S' || waitingNow ? nowUs() + HELD_US : 0;
  if (!outUsed || at < sayAtUs) sayAtUs = at;
  say(line, (size_t)n);
}

/* ---- output of a job ---- */

/* A new file in a directory of a job's, whatever the directory is called by now. */
static int createIn(int home, const char *name) {
  return openat(home, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_APPEND | O_CLOEXEC, 0666);
}

static int openOutput(struct job *j, struct stream *s) {
  if (s->file == -1) {
    s->file = createIn(j->home, s->name);
    if (s->file < 0 && errno == EEXIST && !unlinkat(j->home, s->name, 0)) s->file = createIn(j->home, s->name);
    if (s->file < 0) s->file = -2;
  }
  return s->file >= 0;
}

/* A full disk cuts the file, never the job: what cannot be written is dropped and counted. */
static void keep(struct job *j, struct stream *s, const char *data, size_t n) {
  uint64_t room = s->seen < s->head ? s->head - s->seen : 0;
  size_t first = n < room ? n : (size_t)room;
  if (first && openOutput(j, s)) for (size_t at = 0; at < first;) {
    ssize_t w = write(s->file, data + at, first - at);
    if (w <= 0) break;
    at += (size_t)w;
  }
  s->seen += n;
  size_t size = j->outputMax - s->head;
  if (first < n && size) {
    if (!s->tail) s->tail = must(malloc(size));
    size_t skip = n - first > size ? n - first - size : 0;
    for (size_t at = first + skip; at < n; at++) s->tail[(s->tailed + at - first) % size] = data[at];
    s->tailed += n - first;
  }
}

/* One chunk; 1 when there may be more. */
static int drain(struct job *j, struct stream *s) {
  static char chunk[CHUNK];
  ssize_t n = s->pipe < 0 ? 0 : read(s->pipe, chunk, sizeof chunk);
  if (n > 0) { keep(j, s, chunk, (size_t)n); return n == CHUNK; }
  if (n == 0 && s->pipe >= 0) { close(s->pipe); s->pipe = -1; }
  return 0;
}

static void closeStream(struct job *j, struct stream *s) {
  for (int turns = 32; turns-- && drain(j, s);) {} /* what a pipe holds, and no more: a survivor may write for ever */
  if (s->pipe >= 0) close(s->pipe);
  uint64_t size = j->outputMax - s->head;
  if (s->tailed && openOutput(j, s)) {
    uint64_t count = s->tailed < size ? s->tailed : size;
    if (s->tailed > size && size == TAIL_ROOM) {
      char note[64]; count = TAIL_BYTES;
      int n = snprintf(note, sizeof note, "\n[%llu bytes left out]\n", (unsigned long long)(s->tailed - count));
      if (write(s->file, note, (size_t)n) < 0) count = 0;
    }
    for (uint64_t at = s->tailed - count; at < s->tailed;) {
      uint64_t from = at % size, n = size - from < s->tailed - at ? size - from : s->tailed - at;
      ssize_t w = write(s->file, s->tail + from, (size_t)n);
      if (w <= 0) break;
      at += (uint64_t)w;
    }
  }
  if (s->file >= 0) close(s->file);
  free(s->tail);
}

/* ---- processes a job leaves behind ---- */

static struct job *jobOf(pid_t pid) {
  struct job *j = byPid[(unsigned)pid % BUCKETS];
  while (j && j->pid != pid) j = j->nextByPid;
  return j;
}

#ifdef __linux__
/* 1: its environment names this job's directory (OCPS_WORK_DIR); 0: another one; -1: it hides its environment or has ended. */
static int belongs(pid_t pid, const struct job *j) {
  char path[64], *text, *at; int f, answer = -1; ssize_t n; size_t used = 0, size = 1 << 17;
  snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
  if ((f = open(path, O_RDONLY | O_CLOEXEC)) < 0) return -1;
  text = must(malloc(size + 1));
  while (used < size && (n = read(f, text + used, size - used)) > 0) used += (size_t)n;
  close(f); text[used] = 0;
  for (at = text; at < text + used && answer < 0; at += strlen(at) + 1)
    if (!strncmp(at, "OCPS_WORK_DIR=", 14)) answer = !strcmp(at + 14, j->dir);
  free(text);
  return answer;
}

static void signalTree(pid_t pid, pid_t group, int sig, int depth) {
  char path[300], list[8192], *at, *end; struct dirent *entry; pid_t child;
  if (depth > 64) return;
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *tasks = opendir(path);
  while (tasks && (entry = readdir(tasks))) {
    if (*entry->d_name == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, entry->d_name);
    if (readSmall(path, list, sizeof list) <= 0) continue;
    for (at = list; (child = (pid_t)strtol(at, &end, 10)) > 0 && end != at; at = end) signalTree(child, group, sig, depth + 1);
  }
  if (tasks) closedir(tasks);
  if (getpgid(pid) != group) kill(pid, sig);
}

/*
 * Processes that left the group (setsid) and lost their parent come to us, for we are their subreaper: whatever is our child and no
 * job is such a stray. It names its job in its environment; one that hides even that is ended when no other job could own it.
 */
static int strays(const struct job *j, int sig) {
  static char list[1 << 16]; int found = 0;
  ssize_t n = children < 0 ? 0 : pread(children, list, sizeof list - 1, 0);
  if (n <= 0) return 0;
  list[n] = 0;
  for (char *at = list, *end; *at; at = end) {
    pid_t pid = (pid_t)strtol(at, &end, 10); char state;
    if (end == at || pid <= 0) break;
    while (*end == ' ') end++;
    if (jobOf(pid)) continue;
    startTime(pid, &state);
    if (!state || state == 'Z' || state == 'X') continue;
    int whose = belongs(pid, j);
    if (whose == 0 || (whose < 0 && running > 1)) continue;
    found++;
    if (sig) signalTree(pid, -1, sig, 0);
  }
  return found;
}
#else
static void signalTree(pid_t pid, pid_t group, int sig, int depth) { (void)pid; (void)group; (void)sig; (void)depth; }
static int strays(const struct job *j, int sig) { (void)j; (void)sig; return 0; }
#endif

/* The process group, not the process: pipelines start children that outlive them. TERM comes with CONT, or a stopped process would not hear it. */
static void signalJob(struct job *j, int sig) {
  if (!j->ended) signalTree(j->pid, j->pid, sig, 0);
  kill(-j->pid, sig);
  if (sig == SIGTERM) kill(-j->pid, SIGCONT);
  strays(j, sig);
  j->stoppedBy = sig;
}

static int leftovers(const struct job *j) { return (kill(-j->pid, 0) == 0 || errno == EPERM ? 1 : 0) + strays(j, 0); }

static void forget(struct job *j) {
  struct job **at = &byPid[(unsigned)j->pid % BUCKETS];
  while (*at && *at != j) at = &(*at)->nextByPid;
  if (*at) *at = j->nextByPid;
  for (at = &jobs; *at != j;) at = &(*at)->next;
  *at = j->next;
  j->pool->taken -= j->slots; j->pool->running--; running--;
  close(j->home);
  free(j->id); free(j->attempt); free(j->dir); free(j);
}

static void finish(struct job *j) {
  closeStream(j, &j->stream[0]); closeStream(j, &j->stream[1]);
#define US(t) ((unsigned long long)(t).tv_sec * 1000000ull + (unsigned long long)(t).tv_usec)
#ifdef __APPLE__
  long peak = j->usage.ru_maxrss / 1024;
#else
  long peak = j->usage.ru_maxrss;
#endif
  record("E %s %s %d %llu %llu %llu %ld %llu %llu %d %d\n", j->id, j->attempt,
    WIFEXITED(j->status) ? WEXITSTATUS(j->status) : -WTERMSIG(j->status), (unsigned long long)j->wallUs, US(j->usage.ru_utime),
    US(j->usage.ru_stime), peak, (unsigned long long)j->stream[0].seen, (unsigned long long)j->stream[1].seen, j->stoppedBy,
    j->survivors);
  forget(j);
}

/* Moves one job towards its end: grace over, leader gone, leftovers gone. */
static void advance(struct job *j, uint64_t now) {
  if (j->ended) {
    int left = leftovers(j);
    if (!left || (j->proofAtUs && now >= j->proofAtUs)) { j->survivors = left; finish(j); return; }
    if (!j->stopping) { j->stopping = 1; j->killAtUs = now + LEFTOVER_GRACE_US; signalJob(j, SIGTERM); }
  }
  if (!j->stopping || now < j->killAtUs) return;
  /* Again and again until nobody is left: a process may fork between the look and the signal. */
  if (!j->proofAtUs) j->proofAtUs = now + PROOF_US;
  signalJob(j, SIGKILL);
}

static void reap(void) {
  int status; struct rusage usage; pid_t pid; struct job *j;
  while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
    if ((j = jobOf(pid)) && !j->ended) {
      j->ended = 1; j->status = status; j->usage = usage; j->wallUs = nowUs() - j->startedUs;
    }
  uint64_t now = nowUs();
  for (struct job *next, *at = jobs; at; at = next) { next = at->next; if (at->ended) advance(at, now); }
}

/* ---- starting ---- */

/* In the child, between vfork and exec: touches nothing but what execve reads. The PATH is the job's own. */
static int execute(char *const argv[], char *const envp[]) {
  static char path[4096]; int denied = 0; const char *at = 0;
  if (strchr(argv[0], '/')) { execve(argv[0], argv, envp); return errno; }
  for (char *const *e = envp; *e; e++) if (!strncmp(*e, "PATH=", 5)) at = *e + 5;
  if (!at) at = "/usr/local/bin:/usr/bin:/bin";
  while (1) {
    size_t n = strcspn(at, ":");
    if (n + strlen(argv[0]) + 2 < sizeof path) {
      memcpy(path, at, n); path[n] = '/'; strcpy(path + n + (n > 0), argv[0]);
      execve(path, argv, envp);
      if (errno == EACCES) denied = 1;
      else if (errno != ENOENT && errno != ENOTDIR) return errno;
    }
    if (!at[n]) return denied ? EACCES : ENOENT;
    at += n + 1;
  }
}

static pid_t spawn(const struct job *j, const int give[4], char *const argv[], char *const envp[], int *failure, const char **where) {
  static volatile int childErrno; static const char *volatile childWhere;
  sigset_t all, none, before; sigfillset(&all); sigemptyset(&none);
  childErrno = 0; childWhere = "exec";
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t pid = vfork();
  if (pid == 0) {
    struct sigaction plain; memset(&plain, 0, sizeof plain); plain.sa_handler = SIG_DFL;
    sigaction(SIGPIPE, &plain, 0); sigaction(SIGCHLD, &plain, 0); sigaction(SIGURG, &plain, 0);
    setsid();
    setrlimit(RLIMIT_NOFILE, &files);
    if (fchdir(j->home)) { childErrno = errno; childWhere = "chdir"; _exit(127); }
    /* Every descriptor of ours is above 3 and closes at exec; these four copies do not. */
    for (int fd = 0; fd < 4; fd++) if (dup2(give[fd], fd) < 0) { childErrno = errno; childWhere = "dup"; _exit(127); }
    sigprocmask(SIG_SETMASK, &none, 0);
    childErrno = execute(argv, envp);
    _exit(127);
  }
  *failure = pid < 0 ? errno : childErrno; *where = pid < 0 ? "fork" : childWhere;
  sigprocmask(SIG_SETMASK, &before, 0);
  if (pid > 0 && *failure) { while (waitpid(pid, 0, 0) < 0 && errno == EINTR) {} }
  return *failure ? -1 : pid;
}

/*
 * A pipe whose ends close at exec and whose reading end never blocks. No descriptor of ours collides with 0…3 in a child: main() fills
 * those below 10. Elsewhere than on Linux the flags are set one by one, which is safe in a process of one thread.
 */
static int openPipe(int pair[2]) {
#ifdef __linux__
  if (pipe2(pair, O_CLOEXEC)) return -1;
#else
  if (pipe(pair)) return -1;
  fcntl(pair[0], F_SETFD, FD_CLOEXEC); fcntl(pair[1], F_SETFD, FD_CLOEXEC);
#endif
  return fcntl(pair[0], F_SETFL, O_NONBLOCK);
}

/* A directory that is there already belongs to an earlier attempt, or an earlier life: it is put aside as dir~1, dir~2 … */
static int makeDir(const char *dir) {
  char aside[4096]; struct stat there;
  if (!mkdir(dir, 0777)) return 0;
  if (errno != EEXIST) return -1;
  for (int n = 1; n < 100000; n++) {
    snprintf(aside, sizeof aside, "%s~%d", dir, n);
    if (!lstat(aside, &there)) continue;
    if (rename(dir, aside)) return -1;
    return mkdir(dir, 0777);
  }
  errno = EEXIST;
  return -1;
}

static int writeMembers(int home, const char *text) {
  size_t n = strlen(text), at = 0;
  int f = createIn(home, "members.json");
  if (f < 0) return -1;
  while (at < n) {
    ssize_t w = write(f, text + at, n - at);
    if (w <= 0) { int e = w < 0 ? errno : ENOSPC; close(f); errno = e; return -1; }
    at += (size_t)w;
  }
  return close(f);
}

/*
 * A new OCPS sends SIGURG to the launchers of the one before, dead or frozen: what they have not begun they must not begin any more, for it is begun anew
 * elsewhere. Looked at before every start, not only between batches. Whoever does not know the signal ignores it, which is why it is this one.
 */
static int isDeaf(void) {
#ifdef __linux__
  sigset_t pending;
  if (!sigpending(&pending) && sigismember(&pending, SIGURG) == 1) deaf = 1;
#endif
  return deaf;
}

static void run(struct pool *pool, char **field, int count) {
  if (count < 10 || isDeaf()) return;
  int argc = atoi(field[9]);
  if (argc < 1 || count < 11 + argc) return;
  int envc = atoi(field[10 + argc]);
  if (envc < 0 || count < 11 + argc + envc) return;
  char **argv = must(calloc((size_t)argc + 1, sizeof *argv)), **envp = must(calloc((size_t)envc + 1, sizeof *envp));
  memcpy(argv, field + 10, (size_t)argc * sizeof *argv);
  memcpy(envp, field + 11 + argc, (size_t)envc * sizeof *envp);
  char line[1024]; const char *where = "ledger"; int failure, give[4] = {-1, -1, -1, -1};
  static int devNull = -1;
  struct job *j = must(calloc(1, sizeof *j));
  j->id = must(strdup(field[1])); j->attempt = must(strdup(field[2])); j->dir = must(strdup(field[3]));
  j->home = -1; j->outputMax = strtoull(field[4], 0, 10); j->slots = atol(field[6]); j->pool = pool;
  for (int i = 0; i < 2; i++) {
    j->stream[i] = (struct stream){.pipe = -1, .file = -1, .name = i ? "stderr.log" : "stdout.log"};
    j->stream[i].head = j->outputMax > 2 * TAIL_ROOM ? j->outputMax - TAIL_ROOM : j->outputMax - j->outputMax / 2;
  }
  if (devNull < 0) devNull = open("/dev/null", O_RDONLY | O_CLOEXEC);
  give[0] = devNull;
  if (ledgerBytes > LEDGER_MAX) ledgerRotate();
  /* Said before the fork: if we die in between, a restarted OCPS knows that a process may be there and looks for it. */
  int n = snprintf(line, sizeof line, "P %s %s\n", j->id, j->attempt);
  if ((failure = ledgerWrite(line, (size_t)n))) goto failed;
  where = "mkdir";
  if (makeDir(j->dir) || (j->home = open(j->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) { failure = errno; goto failed; }
  where = "members.json"; if (*field[5] && writeMembers(j->home, field[5])) { failure = errno; goto failed; }
  where = "reports.ndjson";
  if ((give[3] = createIn(j->home, "reports.ndjson")) < 0) { failure = errno; goto failed; }
  fcntl(give[3], F_SETFL, O_APPEND);
  where = "pipe";
  for (int i = 0; i < 2; i++) {
    int pair[2];
    if (openPipe(pair)) { failure = errno; goto failed; }
    j->stream[i].pipe = pair[0]; give[i + 1] = pair[1];
  }
  j->startedUs = nowUs();
  if ((j->pid = spawn(j, give, argv, envp, &failure, &where)) < 0) goto failed;
  for (int fd = 1; fd < 4; fd++) close(give[fd]);
  free(argv); free(envp);
  j->next = jobs; jobs = j; j->nextByPid = byPid[(unsigned)j->pid % BUCKETS]; byPid[(unsigned)j->pid % BUCKETS] = j;
  running++; pool->running++; pool->taken += j->slots;
  record("S %s %s %d %llu\n", j->id, j->attempt, (int)j->pid, (unsigned long long)startTime(j->pid, 0));
  return;
failed:
  record("F %s %s %d %s\n", j->id, j->attempt, failure, where);
  for (int fd = 1; fd < 4; fd++) if (give[fd] >= 0) close(give[fd]);
  for (int i = 0; i < 2; i++) if (j->stream[i].pipe >= 0) close(j->stream[i].pipe);
  if (j->home >= 0) close(j->home);
  free(j->id); free(j->attempt); free(j->dir); free(j); free(argv); free(envp);
}

/* ---- waiting for a slot ---- */

static char **fieldsOf(char *body, size_t length, int *count) {
  char **field, *at = body;
  *count = 0;
  for (size_t i = 0; i < length; i++) *count += !body[i];
  field = must(malloc((size_t)*count * sizeof *field));
  for (int i = 0; i < *count; i++) { field[i] = at; at += strlen(at) + 1; }
  return field;
}

static struct pool *poolNamed(const char *name) {
  struct pool *p;
  for (p = pools; p; p = p->next) if (!strcmp(p->name, name)) return p;
  p = must(calloc(1, sizeof *p));
  p->name = must(strdup(name)); p->last = &p->first; p->next = pools;
  return pools = p;
}

/* Whoever is alone may always run: a job larger than the capacity would wait for ever. */
static int fits(const struct pool *p, long slots) {
  return !p->capacity || !(p->running || p->elsewhere) || p->taken + p->elsewhere + slots <= p->capacity;
}

static void removeWaiting(struct pool *p, struct waiting **at) {
  struct waiting *w = *at;
  if (!(*at = w->next)) p->last = at;
  free(w);
  if (!--waitingNow) sayAtUs = 0;
}

static int takeOff(char **field) {
  for (struct pool *p = pools; p; p = p->next)
    for (struct waiting **at = &p->first; *at; at = &(*at)->next) {
      char *id = (*at)->body + 2, *attempt = id + strlen(id) + 1;
      if (strcmp(id, field[1]) || strcmp(attempt, field[2])) continue;
      removeWaiting(p, at);
      return 1;
    }
  return 0;
}

/* In order: one that does not fit holds back those behind it in its pool. */
static void startWaitingIn(struct pool *p) {
  while (p->first) {
    int count; char **field = fieldsOf(p->first->body, p->first->length, &count);
    int now = isDeaf() || fits(p, atol(field[6]));
    if (now) { run(p, field, count); removeWaiting(p, &p->first); }
    free(field);
    if (!now) return;
  }
}

static void startWaiting(void) { for (struct pool *p = pools; p; p = p->next) startWaitingIn(p); }

static void runOrWait(char **field, int count, const char *body, size_t length) {
  if (count < 10) return;
  struct pool *p = poolNamed(field[8]);
  p->capacity = atol(field[7]);
  if (!p->first && fits(p, atol(field[6]))) { run(p, field, count); return; }
  struct waiting *w = must(malloc(sizeof *w + length));
  w->next = 0; w->length = length; memcpy(w->body, body, length);
  *p->last = w; p->last = &w->next; waitingNow++;
}

static void stop(char **field, int count) {
  if (count < 4) return;
  if (takeOff(field)) { record("F %s %s %d waiting\n", field[1], field[2], ECANCELED); return; }
  for (struct job *next, *j = jobs; j; j = next) {
    next = j->next;
    if (strcmp(j->id, field[1]) || strcmp(j->attempt, field[2]) || j->stopping) continue;
    j->stopping = 1;
    j->killAtUs = nowUs() + strtoull(field[3], 0, 10) * 1000u;
    signalJob(j, SIGTERM);
  }
}

/* ---- what is asked ---- */

static void request(char *body, size_t length) {
  int count;
  if (!length || body[length - 1]) return;
  char **field = fieldsOf(body, length, &count);
  if (*field[0] == 'R') runOrWait(field, count, body, length);
  if (*field[0] == 'K') stop(field, count);
  if (*field[0] == 'W') { say("W\n", 2); sayAtUs = 0; flushOut(); }
  if (*field[0] == 'O' && count > 2) poolNamed(field[2])->elsewhere = atol(field[1]);
  free(field);
}

static void hear(void) {
  size_t at = 0;
  if (inSize - inUsed < CHUNK) in = must(realloc(in, inSize = inSize * 2 + 2 * CHUNK));
  ssize_t n = read(0, in + inUsed, inSize - inUsed);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  /* What waits is started all the same, for it was ordered; of other launchers nobody tells us any more. */
  if (n <= 0) { stdinOpen = 0; for (struct pool *p = pools; p; p = p->next) p->elsewhere = 0; return; }
  inUsed += (size_t)n;
  /* Read and dropped until whoever writes has ended: were we to end, it would start another launcher and ask that one. */
  if (isDeaf()) { inUsed = 0; return; }
  while (at < inUsed) {
    char *newline = memchr(in + at, '\n', inUsed - at);
    if (!newline) break;
    size_t length = strtoul(in + at, 0, 10), from = (size_t)(newline - in) + 1;
    if (length > REQUEST_MAX) _exit(71);
    if (inUsed - from < length) break;
    request(in + from, length);
    at = from + length;
  }
  memmove(in, in + at, inUsed - at); inUsed -= at;
}

#ifdef __linux__
static void watchChildren(void) {
  char path[64]; sigset_t child; sigemptyset(&child); sigaddset(&child, SIGCHLD); sigaddset(&child, SIGURG);
  sigprocmask(SIG_BLOCK, &child, 0);
  wake = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  children = open(path, O_RDONLY | O_CLOEXEC);
  if (readSmall("/proc/sys/kernel/random/boot_id", bootId, sizeof bootId) > 0) bootId[strcspn(bootId, "\n")] = 0;
}
#else
static int wakeEnd;
static void onWake(void) { int e = errno; (void)!write(wakeEnd, "", 1); errno = e; }
static void onUrgent(int sig) { (void)sig; deaf = 1; onWake(); }
static void onChild(int sig) { (void)sig; onWake(); }
static void watchChildren(void) {
  int pair[2]; struct sigaction act; memset(&act, 0, sizeof act); act.sa_handler = onChild;
  if (openPipe(pair)) _exit(72);
  wake = pair[0]; wakeEnd = pair[1];
  fcntl(wakeEnd, F_SETFL, O_NONBLOCK);
  sigaction(SIGCHLD, &act, 0);
  act.sa_handler = onUrgent; sigaction(SIGURG, &act, 0);
}
#endif

int main(int argc, char **argv) {
  struct pollfd *polled = 0; int polledSize = 0, saidDeaf = 0; char line[8192]; struct sigaction ignore;
  if (argc != 2) return 64;
  ledgerDir = argv[1];
  setsid();
  memset(&ignore, 0, sizeof ignore); ignore.sa_handler = SIG_IGN; sigaction(SIGPIPE, &ignore, 0);
  getrlimit(RLIMIT_NOFILE, &files);
  /* Whatever OCPS had open without closing it at exec; 65 536 tries take 5 ms, once. */
  for (int fd = 3, most = files.rlim_cur < 65536 ? (int)files.rlim_cur : 65536; fd < most; fd++) close(fd);
  for (int fd = 3; fd < 10;) if ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) return 74;
  struct rlimit more = files; more.rlim_cur = more.rlim_max; setrlimit(RLIMIT_NOFILE, &more);
  fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK); fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
  watchChildren();
  selfStart = startTime(getpid(), 0);
  ledgerOpen();
  int n = snprintf(line, sizeof line, "H %d %llu %s %s\n", (int)getpid(), (unsigned long long)selfStart, bootId, ledgerFile);
  say(line, (size_t)n);
  while (stdinOpen || jobs || waitingNow) {
    int timeout = -1, used = 0; uint64_t now = nowUs();
    flushOut();
    if (polledSize < 3 + 2 * running) polled = must(realloc(polled, (size_t)(polledSize = 16 + 4 * running) * sizeof *polled));
    polled[used++] = (struct pollfd){.fd = stdinOpen ? 0 : -1, .events = POLLIN};
    polled[used++] = (struct pollfd){.fd = wake, .events = POLLIN};
    polled[used++] = (struct pollfd){.fd = outUsed && !sayAtUs ? 1 : -1, .events = POLLOUT};
    if (sayAtUs) timeout = sayAtUs <= now ? 0 : (int)((sayAtUs - now + 999) / 1000);
    for (struct job *j = jobs; j; j = j->next) {
      for (int i = 0; i < 2; i++) polled[used++] = (struct pollfd){.fd = j->stream[i].pipe, .events = POLLIN};
      if (!j->stopping) continue;
      uint64_t at = j->ended || j->proofAtUs ? now + RECHECK_US : j->killAtUs;
      int ms = at <= now ? 0 : at - now > 3600000000ull ? 3600000 : (int)((at - now + 999) / 1000);
      if (timeout < 0 || ms < timeout) timeout = ms;
    }
    if (poll(polled, (nfds_t)used, timeout) < 0 && errno != EINTR) return 73;
    /* Outputs first: the list of jobs is still the one that was polled. */
    used = 3;
    for (struct job *j = jobs; j; j = j->next)
      for (int i = 0; i < 2; i++, used++) if (polled[used].revents) drain(j, &j->stream[i]);
    now = nowUs();
    for (struct job *next, *j = jobs; j; j = next) { next = j->next; if (j->stopping) advance(j, now); }
    if (polled[1].revents & POLLIN) { isDeaf(); char sink[4096]; (void)!read(wake, sink, sizeof sink); reap(); }
    if (deaf && !saidDeaf) {
      saidDeaf = 1;
      record("Q %d 0\n", (int)getpid());
    }
    /* Endings are told before anything is started: a start blocks for as long as exec takes. */
    flushOut();
    startWaiting();
    if (polled[0].revents) { hear(); startWaiting(); }
  }
  sayAtUs = 0;
  flushOut();
  return 0;
}
