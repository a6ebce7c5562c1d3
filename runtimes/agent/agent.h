/* The agent's parts: the link to the worker, the call under way, the tree of processes below the agent; and the relay. */
#ifndef PANAL_AGENT_H
#define PANAL_AGENT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes that come in at the end and leave at the start. */
struct buffer {
    char *data;
    size_t start, end, capacity;
};

static inline size_t buffer_size(const struct buffer *b) { return b->end - b->start; }
/* Makes room for `size` more bytes and says where they go; the caller then moves `end`. Exits when memory is out. */
char *buffer_room(struct buffer *b, size_t size);
void buffer_append(struct buffer *b, const void *data, size_t size);
/* Drops `size` bytes from the start, and the memory with them when it was much. */
void buffer_consume(struct buffer *b, size_t size);

/* link.c: frames of docs/runtime-protocol.md, over one socket or over stdin and stdout. */
enum frame_type {
    FRAME_CALL = 0x01,
    FRAME_INPUT = 0x02,
    FRAME_END_INPUT = 0x03,
    FRAME_CANCEL = 0x04,
    FRAME_SHUTDOWN = 0x05,
    FRAME_READY = 0x11,
    FRAME_OUT = 0x12,
    FRAME_ERR = 0x13,
    FRAME_DONE = 0x14,
};

struct frame {
    uint8_t type;
    char *payload; /* valid until the next link_read */
    size_t size;
};

struct link {
    int in, out;
    struct buffer received, unsent;
    size_t used; /* of `received`, by the frame that was taken last */
};

/* Opens the link that the environment names. Exits where it cannot. */
void link_open(struct link *l);
/* Reads what is there. False when the worker is gone. */
bool link_read(struct link *l);
/* Takes the next whole frame, if there is one. Exits on a length that no frame has. */
bool link_take(struct link *l, struct frame *f);
void link_put(struct link *l, enum frame_type type, const void *payload, size_t size);
/* Sends what can be sent now. False when the worker is gone. */
bool link_flush(struct link *l);

/* call.c: the call under way. */
enum done_reason { DONE_EXITED = 0, DONE_SIGNAL = 1, DONE_STOPPED = 2, DONE_NOT_STARTED = 3 };

struct call {
    pid_t pid;                 /* of its main process; 0: no call runs */
    int input, output, errors; /* our ends of its pipes; -1: closed */
    struct buffer body;        /* what its stdin has yet to take */
    bool body_ended;
    bool exited;      /* the main process is dead, and not yet reaped */
    int64_t deadline; /* CLOCK_MONOTONIC, ms */
};

/* Starts the call that a CALL describes, or answers at once that it cannot be started. */
void call_start(struct call *c, struct link *l, char *fields, size_t size);
/* Sends body on to stdin; closes it at its end, or when nobody reads it. */
void call_feed(struct call *c);
/* Sends on one piece of what the call wrote to `*fd`; closes it at its end. */
void call_forward(struct link *l, int *fd, enum frame_type type);
/* Ends the call: kills what is left of it, sends the rest of its output, then DONE. */
void call_finish(struct call *c, struct link *l, bool stopped);

/* tree.c: everything that calls started. */
/* Lets orphans below the agent become its children. */
void tree_open(void);
/* Reaps what died. True when that is `main_pid`, which is left for tree_kill. */
bool tree_reap(pid_t main_pid);
/* Kills and reaps everything below the agent. Returns the wait status of `main_pid`, the leader of a group, if not 0.
 * Exits when something cannot be killed: the sandbox is then beyond repair. */
int tree_kill(pid_t main_pid);

/* relay.c: runs `command`, with connections to `port` of the loopback interface led to a unix socket, and returns its
 * exit code. */
int relay(const char *socket_path, const char *port, char **command);

/* agent.c */
extern sigset_t unblocked; /* the signals that ppoll waits with */
int64_t now_ms(void);      /* CLOCK_MONOTONIC */
/* Ends the agent, and with it every call, for good. `error` is an errno, or 0. */
_Noreturn void die(const char *what, int error);

#endif
