/*
 * A way out of a sandbox that has a loopback interface and nothing else: takes connections of a port and leads each to
 * a unix socket, while it runs a command, as which it then ends.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTIONS = 256, PIECE = 32 * 1024, NOT_FOUND = 127, NOT_EXECUTABLE = 126 };

/* One direction of a connection. Nothing more is read until what was read is written. */
struct way {
    int from, to;
    size_t start, end;
    bool ended; /* `to` has been told that nothing more comes */
    char piece[PIECE];
};

struct connection {
    bool open;
    struct way out, back;
};

static struct connection connections[CONNECTIONS];
static struct sockaddr_un proxy = {.sun_family = AF_UNIX};

static bool waits(const struct way *w) { return w->start < w->end; }

/* The other direction may go on: half of a connection can be closed. */
static void way_end(struct way *w) {
    w->ended = true;
    w->start = w->end = 0;
    shutdown(w->to, SHUT_WR);
}

static bool is_passing(int error) { return error == EAGAIN || error == EINTR; }

/* Moves what can be moved without waiting. */
static void way_move(struct way *w) {
    if (w->ended) return;
    if (!waits(w)) {
        ssize_t n = read(w->from, w->piece, sizeof w->piece);
        if (n == 0 || (n < 0 && !is_passing(errno))) way_end(w);
        if (n <= 0) return;
        w->start = 0;
        w->end = (size_t)n;
    }
    /* MSG_NOSIGNAL: the peer may be gone. */
    ssize_t n = send(w->to, w->piece + w->start, w->end - w->start, MSG_NOSIGNAL);
    if (n > 0) w->start += (size_t)n;
    if (n < 0 && !is_passing(errno)) way_end(w);
}

static void connection_move(struct connection *c) {
    way_move(&c->out);
    way_move(&c->back);
    if (!c->out.ended || !c->back.ended) return;
    close(c->out.from);
    close(c->out.to);
    c->open = false;
}

static struct connection *unused(void) {
    for (int i = 0; i < CONNECTIONS; i++)
        if (!connections[i].open) return &connections[i];
    return NULL;
}

static void take_client(int listener, struct connection *c) {
    int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), at_once = 1;
    if (client < 0) return;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server < 0 || connect(server, (struct sockaddr *)&proxy, sizeof proxy) < 0) {
        if (server >= 0) close(server);
        close(client);
        return;
    }
    c->open = true;
    c->out = (struct way){.from = client, .to = server};
    c->back = (struct way){.from = server, .to = client};
}

/* What is waited for at `fd`; -1 leaves it out, so that an end which nobody asks for does not wake us in vain. */
static struct pollfd polled_at(int fd, const struct way *from, const struct way *to) {
    int events = (!from->ended && !waits(from) ? POLLIN : 0) | (waits(to) ? POLLOUT : 0);
    return (struct pollfd){events != 0 ? fd : -1, (short)events, 0};
}

/* Serves until the command ends. Returns its wait status. */
static int serve(int listener, pid_t command) {
    static struct pollfd polled[2 * CONNECTIONS + 1];
    for (;;) {
        int status;
        if (tree_reap(command)) return waitpid(command, &status, 0) == command ? status : 0;
        for (int i = 0; i < CONNECTIONS; i++) {
            struct connection *c = &connections[i];
            polled[2 * i] = polled[2 * i + 1] = (struct pollfd){-1, 0, 0};
            if (!c->open) continue;
            polled[2 * i] = polled_at(c->out.from, &c->out, &c->back);
            polled[2 * i + 1] = polled_at(c->out.to, &c->back, &c->out);
        }
        struct connection *next = unused();
        polled[2 * CONNECTIONS] = (struct pollfd){next != NULL ? listener : -1, POLLIN, 0};
        if (ppoll(polled, 2 * CONNECTIONS + 1, NULL, &unblocked) < 0) {
            if (errno != EINTR) die("ppoll", errno);
            continue;
        }
        for (int i = 0; i < CONNECTIONS; i++)
            if (connections[i].open && (polled[2 * i].revents || polled[2 * i + 1].revents))
                connection_move(&connections[i]);
        if (polled[2 * CONNECTIONS].revents) take_client(listener, next);
    }
}

static int listen_at(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, CONNECTIONS) < 0)
        die("the relay's port", errno);
    return listener;
}

int relay(const char *socket_path, const char *port, char **command) {
    if (strlen(socket_path) >= sizeof proxy.sun_path) die("the path of the socket is too long", 0);
    strcpy(proxy.sun_path, socket_path);
    int listener = listen_at(atoi(port));
    signal(SIGTERM, SIG_DFL);
    pid_t pid = fork();
    if (pid < 0) die("fork", errno);
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        signal(SIGCHLD, SIG_DFL);
        sigprocmask(SIG_SETMASK, &unblocked, NULL);
        execvp(command[0], command);
        _exit(errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
    }
    int status = serve(listener, pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
