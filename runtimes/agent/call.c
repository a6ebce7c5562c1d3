/* One call: a process with three pipes. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, NOT_FOUND = 127, NOT_EXECUTABLE = 126, KILLED = 128 + SIGKILL };

extern char **environ;

static void put_done(struct link *l, int code, enum done_reason reason, const char *text) {
    char payload[512] = {(char)(code >> 24), (char)(code >> 16), (char)(code >> 8), (char)code, (char)reason};
    size_t size = strlen(text) < sizeof payload - 5 ? strlen(text) : sizeof payload - 5;
    memcpy(payload + 5, text, size);
    link_put(l, FRAME_DONE, payload, 5 + size);
}

static void put_not_started(struct link *l, int error, const char *what) {
    char text[400];
    snprintf(text, sizeof text, "%.300s: %s", what, strerror(error));
    put_done(l, error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE, DONE_NOT_STARTED, text);
}

/* What a CALL asks for; all strings lie in the frame. */
struct command {
    char **argv, **env;
    size_t argc, envc;
    const char *cwd;
    int64_t deadline; /* epoch ms */
};

static void command_setenv(struct command *c, char *assignment) {
    size_t name = strcspn(assignment, "=") + 1;
    for (size_t i = 0; i < c->envc; i++) {
        if (strncmp(c->env[i], assignment, name) == 0) {
            c->env[i] = assignment;
            return;
        }
    }
    c->env[c->envc++] = assignment;
}

static const char *after(const char *key, const char *field) {
    size_t size = strlen(key);
    return strncmp(key, field, size) == 0 ? field + size : NULL;
}

static void command_parse(struct command *c, char *fields, size_t size) {
    size_t count = 0, inherited = 0;
    if (size == 0 || fields[size - 1] != '\0') die("the worker sent a CALL that does not end in NUL", 0);
    for (size_t i = 0; i < size; i++) count += fields[i] == '\0';
    while (environ[inherited] != NULL) inherited++;
    *c = (struct command){.argv = calloc(count + 1, sizeof(char *)),
                          .env = calloc(inherited + count + 1, sizeof(char *)),
                          .deadline = INT64_MAX};
    if (c->argv == NULL || c->env == NULL) die("out of memory", 0);
    memcpy(c->env, environ, inherited * sizeof(char *));
    c->envc = inherited;
    for (char *field = fields; field < fields + size; field += strlen(field) + 1) {
        const char *value;
        if ((value = after("arg=", field))) c->argv[c->argc++] = (char *)value;
        else if ((value = after("env=", field))) command_setenv(c, (char *)value);
        else if ((value = after("cwd=", field))) c->cwd = value;
        else if ((value = after("deadline=", field))) c->deadline = strtoll(value, NULL, 10);
    }
}

static void command_free(struct command *c) {
    free(c->argv);
    free(c->env);
}

/* Lets the kernel take the call before anything else when memory is out. A lesser score is not ours to give. */
static void be_killed_first(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t ignored = write(fd, "1000", 4);
    (void)ignored;
    close(fd);
}

/* In the child, which shares the agent's memory until it has executed: writes `*failed` where it cannot. */
_Noreturn static void become(const struct command *c, const int ends[3], volatile int *failed,
                             const char *volatile *failed_at) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (int fd = 0; fd < 3; fd++) dup2(ends[fd], fd);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    be_killed_first();
    if (c->cwd != NULL && chdir(c->cwd) < 0) {
        *failed = errno;
        *failed_at = c->cwd;
        _exit(NOT_EXECUTABLE);
    }
    execvp(c->argv[0], c->argv);
    *failed = errno;
    *failed_at = c->argv[0];
    _exit(NOT_EXECUTABLE);
}

static pid_t spawn(struct command *c, const int ends[3], int *error, const char **error_at) {
    volatile int failed = 0;
    const char *volatile failed_at = "fork";
    char **own = environ;
    environ = c->env; /* execvp looks the command up in the PATH of the call */
    pid_t pid = vfork();
    if (pid == 0) become(c, ends, &failed, &failed_at);
    if (pid < 0) failed = errno;
    environ = own;
    if (pid > 0 && failed != 0) waitpid(pid, NULL, 0);
    *error = failed;
    *error_at = failed_at;
    return failed == 0 ? pid : 0;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void set_deadline(struct call *c, int64_t epoch_ms) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    /* No date that a deadline may name overflows: those before now are now, those far ahead are never. */
    int64_t now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    int64_t left = epoch_ms > now ? epoch_ms - now : 0;
    c->deadline = left > INT64_MAX / 2 ? INT64_MAX : now_ms() + left;
}

void call_start(struct call *c, struct link *l, char *fields, size_t size) {
    struct command command;
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    int error = 0;
    const char *error_at = "pipe";
    command_parse(&command, fields, size);
    c->body_ended = c->exited = false;
    for (int i = 0; i < 3 && error == 0; i++)
        if (pipe2(pipes[i], O_CLOEXEC) < 0) error = errno;
    if (command.argc == 0) {
        error = EINVAL;
        error_at = "a call without a command";
    }
    if (error == 0) {
        const int ends[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};
        c->pid = spawn(&command, ends, &error, &error_at);
    }
    close_fd(&pipes[0][0]);
    close_fd(&pipes[1][1]);
    close_fd(&pipes[2][1]);
    c->input = pipes[0][1];
    c->output = pipes[1][0];
    c->errors = pipes[2][0];
    if (error == 0) {
        /* The flag is of our end alone: the call's own ends block as usual. */
        fcntl(c->input, F_SETFL, O_WRONLY | O_NONBLOCK);
        fcntl(c->output, F_SETFL, O_RDONLY | O_NONBLOCK);
        fcntl(c->errors, F_SETFL, O_RDONLY | O_NONBLOCK);
        set_deadline(c, command.deadline);
    } else {
        close_fd(&c->input);
        close_fd(&c->output);
        close_fd(&c->errors);
        put_not_started(l, error, error_at);
    }
    command_free(&command);
}

void call_feed(struct call *c) {
    while (c->input >= 0 && buffer_size(&c->body) > 0) {
        ssize_t n = write(c->input, c->body.data + c->body.start, buffer_size(&c->body));
        if (n > 0) buffer_consume(&c->body, (size_t)n);
        else if (errno == EAGAIN) return;
        else if (errno != EINTR) close_fd(&c->input); /* it closed its stdin, which is its right */
    }
    if (c->body_ended) close_fd(&c->input);
    if (c->input < 0) buffer_consume(&c->body, buffer_size(&c->body));
}

void call_forward(struct link *l, int *fd, enum frame_type type) {
    static char piece[PIECE];
    ssize_t n = read(*fd, piece, sizeof piece);
    if (n > 0) link_put(l, type, piece, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) close_fd(fd);
}

/* Sends on what the pipe holds; at most what it can hold, should anyone still write. */
static void drain(struct link *l, int *fd, enum frame_type type) {
    int left = *fd < 0 ? 0 : fcntl(*fd, F_GETPIPE_SZ);
    for (; *fd >= 0 && left > 0; left -= PIECE) {
        size_t before = buffer_size(&l->unsent);
        call_forward(l, fd, type);
        if (buffer_size(&l->unsent) == before) break;
    }
    close_fd(fd);
}

void call_finish(struct call *c, struct link *l, bool stopped) {
    int status = tree_kill(c->pid);
    drain(l, &c->output, FRAME_OUT);
    drain(l, &c->errors, FRAME_ERR);
    close_fd(&c->input);
    buffer_consume(&c->body, buffer_size(&c->body));
    if (stopped) put_done(l, KILLED, DONE_STOPPED, "");
    else if (WIFSIGNALED(status)) put_done(l, 128 + WTERMSIG(status), DONE_SIGNAL, "");
    else put_done(l, WEXITSTATUS(status), DONE_EXITED, "");
    c->pid = 0;
    c->exited = false;
}
