/*
 * account PROGRAM [ARG…]: runs PROGRAM and inherits every orphan below it, so that the CPU of daemons and jobs that leave their parents is
 * found under one process (cutime and cstime in /proc/PID/stat), and nothing is left when PROGRAM has ended: what still runs is killed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void end_orphans(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  FILE *children = fopen(path, "r");
  int pid;
  if (children == NULL) return;
  while (fscanf(children, "%d", &pid) == 1) kill(pid, SIGKILL);
  fclose(children);
}

int main(int argc, char **argv) {
  if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return 127;
  pid_t program = fork();
  if (program < 0) return 127;
  if (program == 0) {
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  int status = 0, last = 0, ended = 0;
  for (;;) {
    pid_t pid = wait(&status);
    if (pid < 0 && errno != EINTR) break;
    if (pid == program) last = status, ended = 1;
    /* An orphan's own children arrive here when it has been killed, so the list is read again after each. */
    if (ended) end_orphans();
  }
  return WIFEXITED(last) ? WEXITSTATUS(last) : 128 + WTERMSIG(last);
}
