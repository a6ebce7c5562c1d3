"""The handler loop's end of the runtime protocol, version 1 (docs/runtime-protocol.md)."""

import faulthandler
import io
import os
import select
import struct
import sys
import threading

CALL, INPUT, END_INPUT, CANCEL, SHUTDOWN = 0x01, 0x02, 0x03, 0x04, 0x05
READY, OUT, ERR, DONE = 0x11, 0x12, 0x13, 0x14

FRAME = struct.Struct(">IB")  # length of what follows the length, type
LENGTH = struct.Struct(">I")
OUTCOME = struct.Struct(">iB")  # exit code, reason
EXITED = 0  # the one reason for DONE that a handler loop has

MAX_FRAME = 16 << 20
MAX_PIECE = 1 << 20  # longer results and logs are split
READ_SIZE = 64 << 10  # also all that a pipe holds
MAX_OUTSIDE = 64 << 10  # bytes kept of what was written outside of calls
PROGRAM_EVENTS = frozenset(  # audit events of a process that is started
    ["subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"]
)


class Channel:
    """Frames over two file descriptors, which may be one and the same.

    Any thread of the handler may log; only the main one reads and ends calls. A process
    that the handler forks has no part in it: it must not speak for its parent.
    """

    def __init__(self, fd_in, fd_out):
        self._in = fd_in
        self._out = fd_out
        self._buffer = bytearray()
        self._at = 0
        self._lock = threading.RLock()
        self._in_call = False
        self._pid = os.getpid()
        self._output = Output()
        self._left = False
        # A child has a lock of its own, which these find when it forks as well.
        os.register_at_fork(
            before=lambda: self._lock.acquire(),
            after_in_parent=lambda: self._lock.release(),
            after_in_child=self._leave,
        )
        threading.Thread(target=self._pump, daemon=True).start()

    @property
    def forked(self):
        """Whether this is a child of the process that serves calls."""
        return os.getpid() != self._pid

    def _leave(self):
        self._lock = threading.RLock()
        if self._left:
            return  # a child's child: by now the descriptors may be others
        self._left = True
        for fd in {self._in, self._out}:
            os.close(fd)
        self._output.leave()

    def read(self):
        """The next frame as (type, payload), or None where the peer has gone."""
        while True:
            missing = self._missing()
            if missing <= 0:
                start = self._at + FRAME.size
                length, kind = FRAME.unpack_from(self._buffer, self._at)
                self._at += LENGTH.size + length
                return kind, self._buffer[start : self._at]
            del self._buffer[: self._at]
            self._at = 0
            data = os.read(self._in, min(max(missing, READ_SIZE), MAX_PIECE))
            if not data:
                return None
            self._buffer += data

    def _missing(self):
        """How many more bytes the next frame needs at least; 0 or less if it is whole."""
        buffered = len(self._buffer) - self._at
        if buffered < FRAME.size:
            return FRAME.size - buffered
        (length,) = LENGTH.unpack_from(self._buffer, self._at)
        if not 1 <= length <= MAX_FRAME:
            raise ValueError(f"a frame of {length} bytes is not of this protocol")
        return LENGTH.size + length - buffered

    def ready(self):
        with self._lock:
            self._take_output()
            self._output.renew()
        self._send(frames(READY, b'{"protocol":1,"kind":"handler"}'))

    def begin(self):
        with self._lock:
            self._take_output()
            self._in_call = True

    def log(self, data):
        """Sends logs of the call; outside of calls, keeps them for the real stderr."""
        if self.forked:
            os.write(2, data)  # as any other program that the handler starts
            return
        with self._lock:
            self._take_output()
            self._put(data)

    def done(self, result, code, text):
        with self._lock:
            self._take_output()
            self._in_call = False
            self._send(frames(OUT, result) + frames(DONE, OUTCOME.pack(code, EXITED) + text))
            self._output.renew()

    def show_outside(self):
        """Writes what was said outside of calls to the real stderr, unless that leads to a call's logs now."""
        with self._lock:
            if self._in_call:
                return
            self._take_output()
            self._output.show_outside()

    def _pump(self):
        """Hands on what comes while the main thread is busy, or waits for who writes it."""
        try:
            while True:
                self._output.wait()
                with self._lock:
                    self._take_output()
        except OSError:
            pass  # the worker has gone

    def _take_output(self):
        data = self._output.take()
        if data:
            self._put(data)

    def _put(self, data):
        if self._in_call:
            self._send(frames(ERR, data))
        else:
            self._output.keep(data)

    def _send(self, data):
        sent = os.write(self._out, data)
        while sent < len(data):
            data = memoryview(data)[sent:]
            sent = os.write(self._out, data)


class Output:
    """What goes past sys.stdout: written to descriptors 1 and 2 by libraries and programs.

    Both lead into a pipe of this process. What is in it when a call ends was written by
    that call, which nobody else could tell: the real stderr takes a way of its own. A call
    that started programs leaves its pipe to them, and the next call gets a new one.
    """

    def __init__(self):
        self._real = os.dup(2)
        self._outside = b""
        self._left = set()  # pipes of calls that have ended
        self._programs = False
        self._written = select.epoll()
        self._open()
        os.dup2(self._end, 1)
        os.dup2(self._end, 2)
        sys.addaudithook(self._notice)
        # What a library says before it aborts is lost with the pipe; this tells where it was.
        faulthandler.enable(self._real, all_threads=False)

    def _open(self):
        # The end to write is kept, so that the pipe never ends during its call.
        self._pipe, self._end = os.pipe()
        os.set_blocking(self._pipe, False)
        self._readable = select.poll()
        self._readable.register(self._pipe, select.POLLIN)
        self._written.register(self._pipe, select.EPOLLIN)

    def _notice(self, event, _args):
        if event in PROGRAM_EVENTS:
            self._programs = True

    def renew(self):
        """Leaves the pipe to the programs that have it, if the call started any."""
        if not self._programs and not has_children():
            return
        self._programs = False
        self._left.add(self._pipe)
        old = self._end
        self._open()
        for fd in (1, 2):  # unless the handler leads them elsewhere
            if is_same(fd, old):
                os.dup2(self._end, fd)
        os.close(old)
        self._take_left()

    def wait(self):
        self._written.poll()

    def take(self):
        """All that the call wrote so far."""
        if self._left:
            self._take_left()
        return os.read(self._pipe, READ_SIZE) if self._readable.poll(0) else b""

    def _take_left(self):
        """Keeps what programs wrote after the call that started them."""
        for pipe in list(self._left):
            try:
                data = os.read(pipe, READ_SIZE)
            except BlockingIOError:
                continue
            if data:
                self.keep(data)
            else:  # the last of them has ended
                self._left.remove(pipe)
                self._written.unregister(pipe)
                os.close(pipe)

    def keep(self, data):
        self._outside = (self._outside + data)[-MAX_OUTSIDE:]

    def show_outside(self):
        data, self._outside = self._outside, b""
        os.write(self._real, data)

    def leave(self):
        self._written.close()
        for fd in (self._pipe, self._end, *self._left):
            os.close(fd)


def has_children():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def is_same(fd, other):
    try:
        return os.path.sameopenfile(fd, other)
    except OSError:
        return False  # closed by the handler


class Logs(io.RawIOBase):
    """Stands in for stdout and stderr: what is written to it goes to the call's logs."""

    def __init__(self, channel):
        self._channel = channel

    def writable(self):
        return True

    def fileno(self):
        return 2  # for libraries that insist; only the real stderr has a descriptor

    def write(self, data):
        self._channel.log(bytes(data))
        return len(data)


def frames(kind, data):
    """One frame, or as many as the data needs, or none for no data."""
    if len(data) <= MAX_PIECE:
        return FRAME.pack(len(data) + 1, kind) + data if data else b""
    view = memoryview(data)
    pieces = (view[at : at + MAX_PIECE] for at in range(0, len(data), MAX_PIECE))
    return b"".join(part for piece in pieces for part in (FRAME.pack(len(piece) + 1, kind), piece))
