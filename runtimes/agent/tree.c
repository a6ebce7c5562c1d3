/* Kills everything that a call started, whatever it did to get away. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GIVE_UP_MS = 5000, LOOK_AGAIN_MS = 10 };

void tree_open(void) {
    /* PID 1 gets the orphans of its namespace anyway. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

bool tree_reap(pid_t main_pid) {
    siginfo_t dead;
    for (;;) {
        dead.si_pid = 0;
        if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) < 0 || dead.si_pid == 0) return false;
        /* Not reaped yet: while it is a zombie no other process can get its number, which is also its group's. */
        if (dead.si_pid == main_pid) return true;
        waitpid(dead.si_pid, NULL, 0);
    }
}

/* Kills the direct children. Their own children become the agent's when they die, and are met in the next round. */
static void kill_children(void) {
    char list[4096];
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t size = read(fd, list, sizeof list - 1);
    close(fd);
    if (size <= 0) return;
    /* A list cut short ends in a whole number or in a part of one, which must not be taken for a number. */
    if ((size_t)size == sizeof list - 1)
        while (size > 0 && list[size - 1] != ' ') size--;
    list[size] = '\0';
    char *next = list;
    for (;;) {
        char *end;
        long pid = strtol(next, &end, 10);
        if (end == next) return;
        if (pid > 1) kill((pid_t)pid, SIGKILL);
        next = end;
    }
}

int tree_kill(pid_t main_pid) {
    bool init = getpid() == 1;
    int64_t give_up = now_ms() + GIVE_UP_MS;
    int main_status = 0;
    if (!init && main_pid > 1) kill(-main_pid, SIGKILL);
    for (;;) {
        int status;
        pid_t pid;
        /* Atomic against fork: a process that forks meanwhile sees the signal first. */
        if (init) kill(-1, SIGKILL);
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == main_pid) main_status = status;
        if (pid < 0 && errno == ECHILD) return main_status;
        if (!init) kill_children();
        if (now_ms() > give_up) die("processes of the call cannot be killed", 0);
        /* SIGCHLD is blocked but here, so none is missed. */
        struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
        ppoll(NULL, 0, &pause, &unblocked);
    }
}
