/*
 * Panal's agent: the entrypoint of a prestarted sandbox. Speaks the runtime protocol (docs/runtime-protocol.md) with
 * the worker and runs each call as a process of its own, of which nothing is left when the call is done.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define READY "{\"protocol\":1,\"kind\":\"agent\"}"

/* Body that waits for the call's stdin; past it nothing more is read from the worker. */
enum { MAX_WAITING_BODY = 1024 * 1024 };

sigset_t unblocked;
static volatile sig_atomic_t told_to_stop;

int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void die(const char *what, int error) {
    fprintf(stderr, "panal-agent: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
    _exit(1);
}

static void on_child(int signal) { (void)signal; /* its work is to wake ppoll */ }

static void on_term(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    /* PID 1 sees 0 for a sender outside of its namespace; from inside only a function can have sent it. */
    if (getpid() != 1 || info->si_pid == 0) told_to_stop = 1;
}

static void open_signals(void) {
    struct sigaction child = {.sa_handler = on_child}, term = {.sa_sigaction = on_term, .sa_flags = SA_SIGINFO};
    sigset_t blocked;
    sigaction(SIGCHLD, &child, NULL);
    sigaction(SIGTERM, &term, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&unblocked);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Takes what could be used against the agent: descriptors it inherited, ways to gain rights, sight of its memory. */
static void close_doors(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0) open("/dev/null", O_RDWR);
    close_range(3, UINT_MAX, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* No ptrace, and /proc/PID/fd, mem and environ are closed to processes of the same user. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* False on SHUTDOWN. */
static bool on_frame(struct call *c, struct link *l, const struct frame *f) {
    switch (f->type) {
    case FRAME_CALL:
        if (c->pid != 0) die("the worker sent a CALL during a call", 0);
        call_start(c, l, f->payload, f->size);
        return true;
    case FRAME_INPUT:
        if (c->pid == 0 || c->input < 0) return true;
        buffer_append(&c->body, f->payload, f->size);
        call_feed(c);
        return true;
    case FRAME_END_INPUT:
        c->body_ended = true;
        if (c->pid != 0) call_feed(c);
        return true;
    case FRAME_CANCEL:
        if (c->pid != 0) call_finish(c, l, true);
        return true;
    case FRAME_SHUTDOWN:
        return false;
    default:
        die("the worker sent a frame of an unknown type", 0);
    }
}

enum { FROM_WORKER, TO_WORKER, INPUT, OUTPUT, ERRORS, POLLED };

/* Waits for whatever comes next. A descriptor of -1 is left out, so that none wakes us in vain. */
static void wait_for(struct pollfd polled[POLLED], const struct call *c, const struct link *l) {
    bool sending = buffer_size(&l->unsent) > 0, running = c->pid != 0;
    bool full = buffer_size(&c->body) >= MAX_WAITING_BODY;
    polled[FROM_WORKER] = (struct pollfd){l->in, full ? 0 : POLLIN, 0};
    polled[TO_WORKER] = (struct pollfd){sending ? l->out : -1, POLLOUT, 0};
    polled[INPUT] = (struct pollfd){running && buffer_size(&c->body) > 0 ? c->input : -1, POLLOUT, 0};
    /* While the worker does not take what we have, the call has to wait with more. */
    polled[OUTPUT] = (struct pollfd){running && !sending ? c->output : -1, POLLIN, 0};
    polled[ERRORS] = (struct pollfd){running && !sending ? c->errors : -1, POLLIN, 0};
    struct timespec wait = {0};
    bool limited = running && c->deadline != INT64_MAX;
    if (limited) {
        int64_t left = c->deadline - now_ms();
        if (left > 0) wait = (struct timespec){left / 1000, left % 1000 * 1000000};
    }
    if (ppoll(polled, POLLED, limited ? &wait : NULL, &unblocked) < 0) {
        if (errno != EINTR) die("ppoll", errno);
        for (int i = 0; i < POLLED; i++) polled[i].revents = 0;
    }
}

/* Serves calls until the worker is gone or says that it is enough. */
static void serve(struct call *c, struct link *l) {
    struct pollfd polled[POLLED];
    struct frame f;
    while (link_flush(l) && !told_to_stop) {
        wait_for(polled, c, l);
        if (polled[OUTPUT].revents) call_forward(l, &c->output, FRAME_OUT);
        if (polled[ERRORS].revents) call_forward(l, &c->errors, FRAME_ERR);
        if (polled[INPUT].revents) call_feed(c);
        if (tree_reap(c->pid)) call_finish(c, l, false);
        if (c->pid != 0 && c->deadline <= now_ms()) call_finish(c, l, true);
        if (polled[FROM_WORKER].revents) {
            if (!(polled[FROM_WORKER].events & POLLIN) || !link_read(l)) return;
            while (link_take(l, &f))
                if (!on_frame(c, l, &f)) return;
        }
    }
}

int main(int argc, char **argv) {
    static struct call call = {.input = -1, .output = -1, .errors = -1};
    static struct link link;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("panal-agent 0.1.0, runtime protocol 1");
        return 0;
    }
    if (argc > 4 && strcmp(argv[1], "relay") == 0) {
        open_signals();
        return relay(argv[2], argv[3], argv + 4);
    }
    close_doors();
    open_signals();
    tree_open();
    link_open(&link);
    link_put(&link, FRAME_READY, READY, strlen(READY));
    serve(&call, &link);
    tree_kill(call.pid);
    return 0;
}
