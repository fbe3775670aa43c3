/* loop COUNT CONCURRENCY PROGRAM [ARG…]: keeps so many children from posix_spawn until COUNT have ended; prints the seconds it took. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int left = atoi(argv[1]), running = 0, concurrency = atoi(argv[2]);
  posix_spawn_file_actions_t silent;
  posix_spawn_file_actions_init(&silent);
  posix_spawn_file_actions_addopen(&silent, 1, "/dev/null", O_WRONLY, 0);
  double began = now();
  while (left > 0 || running > 0) {
    if (left > 0 && running < concurrency) {
      pid_t pid;
      if (posix_spawnp(&pid, argv[3], &silent, NULL, argv + 3, environ) != 0) return 1;
      left--, running++;
    } else if (wait(NULL) > 0)
      running--;
    else
      return 1;
  }
  printf("%.6f\n", now() - began);
  return 0;
}
