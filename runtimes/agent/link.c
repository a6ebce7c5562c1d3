/* The link to the worker: frames in, frames out, never blocking. */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LENGTH = 4, MAX_FRAME = 16 * 1024 * 1024, READ_SIZE = 64 * 1024, KEPT = 256 * 1024 };

char *buffer_room(struct buffer *b, size_t size) {
    if (b->start == b->end) b->start = b->end = 0;
    if (b->end + size > b->capacity && b->start > 0) {
        memmove(b->data, b->data + b->start, buffer_size(b));
        b->end -= b->start;
        b->start = 0;
    }
    if (b->end + size > b->capacity) {
        size_t capacity = b->end + size > 2 * b->capacity ? b->end + size : 2 * b->capacity;
        b->data = realloc(b->data, capacity);
        if (b->data == NULL) die("out of memory", 0);
        b->capacity = capacity;
    }
    return b->data + b->end;
}

void buffer_append(struct buffer *b, const void *data, size_t size) {
    if (size == 0) return;
    memcpy(buffer_room(b, size), data, size);
    b->end += size;
}

void buffer_consume(struct buffer *b, size_t size) {
    b->start += size;
    if (b->start == b->end && b->capacity > KEPT) {
        free(b->data);
        *b = (struct buffer){0};
    }
}

static void set_nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

/* Moves a standard stream to where no child gets it, and puts /dev/null in its place. */
static int move_away(int fd) {
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (moved < 0) die("stdin and stdout must be open", errno);
    if (null < 0) close(fd);
    else dup2(null, fd);
    if (null > 2) close(null);
    return moved;
}

void link_open(struct link *l) {
    const char *path = getenv("FAAS_SOCKET");
    if (path == NULL) {
        l->in = move_away(STDIN_FILENO);
        l->out = move_away(STDOUT_FILENO);
    } else {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof address.sun_path) die("FAAS_SOCKET is too long", 0);
        strcpy(address.sun_path, path);
        l->in = l->out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (l->in < 0 || connect(l->in, (struct sockaddr *)&address, sizeof address) < 0) die("FAAS_SOCKET", errno);
        unsetenv("FAAS_SOCKET");
    }
    set_nonblocking(l->in);
    set_nonblocking(l->out);
}

bool link_read(struct link *l) {
    for (;;) {
        buffer_consume(&l->received, l->used);
        l->used = 0;
        ssize_t n = read(l->in, buffer_room(&l->received, READ_SIZE), READ_SIZE);
        if (n > 0) l->received.end += (size_t)n;
        if (n < 0 && errno == EINTR) continue;
        return n > 0 || (n < 0 && errno == EAGAIN);
    }
}

bool link_take(struct link *l, struct frame *f) {
    buffer_consume(&l->received, l->used);
    l->used = 0;
    if (buffer_size(&l->received) < LENGTH) return false;
    const unsigned char *head = (unsigned char *)l->received.data + l->received.start;
    size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (length < 1 || length > MAX_FRAME) die("the worker sent no frame of the protocol", 0);
    if (buffer_size(&l->received) < LENGTH + length) {
        /* All at once: growing by each read would copy a large frame again and again. */
        buffer_room(&l->received, LENGTH + length - buffer_size(&l->received));
        return false;
    }
    *f = (struct frame){head[LENGTH], l->received.data + l->received.start + LENGTH + 1, length - 1};
    l->used = LENGTH + length;
    return true;
}

void link_put(struct link *l, enum frame_type type, const void *payload, size_t size) {
    size_t length = size + 1;
    unsigned char head[LENGTH + 1] = {(unsigned char)(length >> 24), (unsigned char)(length >> 16),
                                      (unsigned char)(length >> 8), (unsigned char)length, (unsigned char)type};
    buffer_append(&l->unsent, head, sizeof head);
    buffer_append(&l->unsent, payload, size);
}

bool link_flush(struct link *l) {
    while (buffer_size(&l->unsent) > 0) {
        ssize_t n = write(l->out, l->unsent.data + l->unsent.start, buffer_size(&l->unsent));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        buffer_consume(&l->unsent, (size_t)n);
    }
    return true;
}
