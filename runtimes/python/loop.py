"""Keeps a Python handler loaded and serves calls to it, one at a time.

Runs in the folder of a bundle that holds handler.py with `def handler(params, context)`,
plain or async. Speaks the runtime protocol, version 1 (docs/runtime-protocol.md), over
the unix socket named by FAAS_SOCKET, or over stdin and stdout where that is not set.

A small call costs one read and one write: its frames arrive together, and its result
and the end of the call leave together. Needs Python 3.8 and nothing but its library.
"""

import io
import json
import os
import socket
import struct
import sys
import threading

CALL, INPUT, END_INPUT, CANCEL, SHUTDOWN = 0x01, 0x02, 0x03, 0x04, 0x05
READY, OUT, ERR, DONE = 0x11, 0x12, 0x13, 0x14

FRAME = struct.Struct(">IB")  # length of what follows the length, type
LENGTH = struct.Struct(">I")
OUTCOME = struct.Struct(">iB")  # exit code, reason
RETURNED, RAISED, EXITED = 0, 1, 0

MAX_FRAME = 16 << 20
MAX_PIECE = 1 << 20  # longer results and logs are split
MAX_TEXT = 1000  # characters of the one-line message of an exception
READ_SIZE = 64 << 10


class Context(dict):
    """What a handler is told of its call; context.callNum and context["callNum"]."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Channel:
    """Frames over two file descriptors, which may be one and the same.

    Any thread of the handler may log; only the main one reads and ends calls.
    """

    def __init__(self, fd_in, fd_out):
        self._in = fd_in
        self._out = fd_out
        self._buffer = bytearray()
        self._at = 0
        self._lock = threading.Lock()
        self._in_call = False

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
        self._send(frames(READY, b'{"protocol":1,"kind":"handler"}'))

    def begin(self):
        self._in_call = True

    def log(self, data):
        """Sends logs of the call, or where none runs, writes them to the real stderr."""
        with self._lock:
            if self._in_call:
                self._send(frames(ERR, data))
            else:
                os.write(2, data)

    def done(self, result, code, text):
        outcome = OUTCOME.pack(code, EXITED) + text.encode("utf-8", "replace")
        with self._lock:
            self._in_call = False
            self._send(frames(OUT, result) + frames(DONE, outcome))

    def _send(self, data):
        sent = os.write(self._out, data)
        while sent < len(data):
            data = memoryview(data)[sent:]
            sent = os.write(self._out, data)


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


class Caller:
    """Calls the handler and turns what it returns or raises into the end of a call."""

    def __init__(self, handler, channel, logs):
        self._handler = handler
        self._channel = channel
        self._logs = logs
        self._loop = None
        self._decode = json.JSONDecoder(parse_constant=refuse_constant).decode
        # Not a number is not JSON either: it fails the call, as any other such value does.
        self._encode = json.JSONEncoder(
            separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode

    def call(self, header, body):
        self._channel.begin()
        result, code, text = b"", RETURNED, ""
        try:
            value = self._handler(self._params(body), context_of(header))
            if hasattr(value, "__await__"):
                value = self._wait(value)
            result = self._bytes(value)
        except (SystemExit, KeyboardInterrupt):
            raise  # a handler that ends the process means to
        except BaseException as error:
            code, text = RAISED, self._report(error)
        self._logs.flush()
        self._channel.done(result, code, text)

    def _params(self, body):
        if not body:
            return {}
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return body
        try:
            return self._decode(text)
        except ValueError:
            return text

    def _bytes(self, value):
        if isinstance(value, str):
            return value.encode("utf-8")
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        return self._encode(value).encode("utf-8")

    def _wait(self, awaitable):
        # One event loop for all calls: making one takes longer than a small call, and
        # what a handler opens in it (a session, a pool) stays of use in the next.
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(awaitable)

    def _report(self, error):
        """Logs the traceback and gives the message in one line."""
        print_traceback(error)
        try:
            message = str(error).split("\n", 1)[0]
        except Exception:  # its own __str__ raises
            message = ""
        return ": ".join(filter(None, (type(error).__name__, message)))[:MAX_TEXT]


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def frames(kind, data):
    """One frame, or as many as the data needs, or none for no data."""
    if len(data) <= MAX_PIECE:
        return FRAME.pack(len(data) + 1, kind) + data if data else b""
    view = memoryview(data)
    pieces = (view[at : at + MAX_PIECE] for at in range(0, len(data), MAX_PIECE))
    return b"".join(part for piece in pieces for part in (FRAME.pack(len(piece) + 1, kind), piece))


def context_of(header):
    fields = dict(field.split("=", 1) for field in header.decode("utf-8").split("\0") if "=" in field)
    return Context(
        callNum=int(fields.get("callNum", 0)),
        functionName=fields.get("functionName", ""),
        version=int(fields.get("version", 0)),
        deadline=int(fields.get("deadline", 0)),
        attempt=int(fields.get("attempt", 1)),
    )


def print_traceback(error):
    import traceback  # only here: it takes longer to load than a call takes

    # The first frame is this file's own and says nothing to the handler's author.
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    traceback.print_exception(type(error), error, inner, file=sys.stderr)


def open_channel():
    """Where frames come from and go to, out of reach of the handler and of what it starts."""
    path = os.environ.pop("FAAS_SOCKET", "")
    if path:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(path)
        fd = peer.detach()
        return Channel(fd, fd)
    # Descriptors of their own: a stray print goes to stderr, and not among the frames.
    channel = Channel(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return channel


def load():
    """The bundle's handler; ends the process with 1 where it cannot be loaded."""
    # In place of this file's own folder, which is none of the handler's business.
    sys.path[0] = os.getcwd()
    try:
        import handler

        if not callable(getattr(handler, "handler", None)):
            raise TypeError("handler.py must define handler(params, context)")
        return handler.handler
    except BaseException as error:
        print_traceback(error)
        sys.exit(1)


def serve(channel, caller):
    header, pieces = b"", []
    while True:
        frame = channel.read()
        if frame is None:
            return
        kind, payload = frame
        if kind == CALL:
            header, pieces = payload, []
        elif kind == INPUT:
            pieces.append(payload)
        elif kind == END_INPUT:
            caller.call(header, b"".join(pieces))
            pieces = []
        elif kind == SHUTDOWN:
            return
        # CANCEL comes too late to be seen here; the worker then ends the sandbox.


def main():
    channel = open_channel()
    logs = io.TextIOWrapper(
        io.BufferedWriter(Logs(channel)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
    sys.stdout = sys.stderr = logs
    handler = load()
    logs.flush()  # the rest of an unfinished line belongs to no call
    channel.ready()
    try:
        serve(channel, Caller(handler, channel, logs))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the worker has gone: nobody is left to tell


main()
