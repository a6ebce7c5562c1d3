/* One call: a process with three pipes. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, NOT_FOUND = 127, NOT_EXECUTABLE = 126, KILLED = 128 + SIGKILL };

extern char **environ;

/* Size of as much of a text as fits, without a part of a character: its second and later bytes are 10xxxxxx. */
static size_t size_within(const char *text, size_t most) {
    size_t size = strnlen(text, most + 1);
    if (size <= most) return size;
    for (size = most; size > 0 && (text[size] & 0xC0) == 0x80;) size--;
    return size;
}

static void put_done(struct link *l, int code, enum done_reason reason, const char *text) {
    char payload[512] = {(char)(code >> 24), (char)(code >> 16), (char)(code >> 8), (char)code, (char)reason};
    size_t size = size_within(text, sizeof payload - 5);
    memcpy(payload + 5, text, size);
    link_put(l, FRAME_DONE, payload, 5 + size);
}

/* What could not be done on the way to a call's process. `kind` says what `name` is if it is not a program. */
struct failure {
    int error; /* errno */
    const char *kind, *name;
    bool of_interpreter;
};

static void put_not_started(struct link *l, const struct failure *f) {
    char text[1024];
    const char *reason =
        f->error == ENOEXEC ? "exec format error (not a program for this processor)" : strerror(f->error);
    const char *whose = f->of_interpreter ? "its interpreter: " : "";
    snprintf(text, sizeof text, "%s%.*s: %s%s", f->kind, (int)size_within(f->name, 400), f->name, whose, reason);
    put_done(l, f->error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE, DONE_NOT_STARTED, text);
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

/* Executes one file. Returns why that cannot be done. */
static struct failure execute_file(const struct command *c, const char *file) {
    execve(file, c->argv, c->env);
    int error = errno;
    return (struct failure){error, "", c->argv[0], error == ENOENT && access(file, F_OK) == 0};
}

/*
 * Looks the program up in the PATH of the call and executes it. Returns why that cannot be done. Not execvp: that hands
 * a file which is no program for this processor to a shell.
 */
static struct failure execute(const struct command *c) {
    const char *name = c->argv[0], *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    struct failure result = {ENOENT, "", name, false};
    if (strchr(name, '/') != NULL || name[0] == '\0') return execute_file(c, name);
    for (size_t i = 0; i < c->envc; i++)
        if (strncmp(c->env[i], "PATH=", 5) == 0) path = c->env[i] + 5;
    for (const char *end; path != NULL; path = *end == ':' ? end + 1 : NULL) {
        char file[PATH_MAX];
        end = path + strcspn(path, ":");
        int size = snprintf(file, sizeof file, "%.*s%s%s", (int)(end - path), path, end == path ? "" : "/", name);
        if (size < 0 || (size_t)size >= sizeof file) continue;
        struct failure failure = execute_file(c, file);
        if (failure.error == EACCES) result = failure;
        else if ((failure.error != ENOENT && failure.error != ENOTDIR) || failure.of_interpreter) return failure;
    }
    return result;
}

/* In the child, which shares the agent's memory until it has executed: writes `*failed` where it cannot. */
_Noreturn static void become(const struct command *c, const int ends[3], volatile struct failure *failed) {
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
    if (c->cwd != NULL && chdir(c->cwd) < 0) *failed = (struct failure){errno, "working directory ", c->cwd, false};
    else *failed = execute(c);
    _exit(NOT_EXECUTABLE);
}

static pid_t spawn(struct command *c, const int ends[3], struct failure *failure) {
    volatile struct failure failed = {0, "", "fork", false};
    pid_t pid = vfork();
    if (pid == 0) become(c, ends, &failed);
    if (pid < 0) failed.error = errno;
    if (pid > 0 && failed.error != 0) waitpid(pid, NULL, 0);
    *failure = (struct failure){failed.error, failed.kind, failed.name, failed.of_interpreter};
    return failed.error == 0 ? pid : 0;
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
    struct failure failure = {0, "", "pipe", false};
    command_parse(&command, fields, size);
    c->body_ended = c->exited = false;
    for (int i = 0; i < 3 && failure.error == 0; i++)
        if (pipe2(pipes[i], O_CLOEXEC) < 0) failure.error = errno;
    if (command.argc == 0) failure = (struct failure){EINVAL, "", "a call without a command", false};
    if (failure.error == 0) {
        const int ends[3] = {pipes[0][0], pipes[1][1], pipes[2][1]};
        c->pid = spawn(&command, ends, &failure);
    }
    close_fd(&pipes[0][0]);
    close_fd(&pipes[1][1]);
    close_fd(&pipes[2][1]);
    c->input = pipes[0][1];
    c->output = pipes[1][0];
    c->errors = pipes[2][0];
    if (failure.error == 0) {
        /* The flag is of our end alone: the call's own ends block as usual. */
        fcntl(c->input, F_SETFL, O_WRONLY | O_NONBLOCK);
        fcntl(c->output, F_SETFL, O_RDONLY | O_NONBLOCK);
        fcntl(c->errors, F_SETFL, O_RDONLY | O_NONBLOCK);
        set_deadline(c, command.deadline);
    } else {
        close_fd(&c->input);
        close_fd(&c->output);
        close_fd(&c->errors);
        put_not_started(l, &failure);
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
