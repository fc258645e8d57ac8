/* The sandbox container of every pod: holds its namespaces, collects dead children, ends when told to. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int number) { _exit(number == SIGTERM ? 0 : 128 + number); }

int main(void) {
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  /* Ignoring SIGCHLD lets the kernel collect children that are handed to pid 1. */
  signal(SIGCHLD, SIG_IGN);
  for (;;) pause();
}
