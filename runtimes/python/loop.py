"""Keeps a Python handler loaded and serves calls to it, one at a time.

Runs in the folder of a bundle that holds handler.py with `def handler(params, context)`,
plain or async. Speaks the runtime protocol, version 1 (docs/runtime-protocol.md), over
the unix socket named by FAAS_SOCKET, or over stdin and stdout where that is not set.

A small call costs one read and one write: its frames arrive together, and its result
and the end of the call leave together. Needs Python 3.8 and nothing but its library.
"""

import atexit
import io
import json
import os
import socket
import sys
import threading

# multiprocessing imports this file once more in a process that it spawns, which finds no
# other file of this folder, and must not serve calls.
if __name__ == "__main__":
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    from panal_channel import CALL, END_INPUT, INPUT, SHUTDOWN, Channel, Logs

    sys.dont_write_bytecode = writes_bytecode

RETURNED, RAISED = 0, 1
MAX_TEXT = 1000  # characters of the one-line message of an exception
LOAD_PATIENCE = 10  # seconds after which a handler that still loads may be stuck


class Context(dict):
    """What a handler is told of its call; context.callNum and context["callNum"]."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Caller:
    """Calls the handler and turns what it returns or raises into the end of a call."""

    def __init__(self, handler, channel):
        self._handler = handler
        self._channel = channel
        self._loop = None
        self._decode = json.JSONDecoder(parse_constant=refuse_constant).decode
        # Not a number is not JSON either: it fails the call, as any other such value does.
        form = {"separators": (",", ":"), "allow_nan": False}
        self._encode = json.JSONEncoder(ensure_ascii=False, **form).encode
        self._encode_escaped = json.JSONEncoder(**form).encode

    def call(self, header, body):
        fields = fields_of(header)
        self._channel.begin()
        result, code, text = b"", RETURNED, ""
        try:
            value = self._handler(self._params(body), context_of(fields))
            if hasattr(value, "__await__"):
                value = self._wait(value)
            result = self._bytes(value)
        except (SystemExit, KeyboardInterrupt):
            flush()
            self._channel.log(b"")
            raise  # a handler that ends the process means to
        except BaseException as error:
            code, text = RAISED, self._report(error)
        flush()
        if self._channel.forked:
            os._exit(code)
        outcome = text.encode("utf-8", "replace")
        if "call" in fields:
            outcome += b"\0" + fields["call"].encode()
        self._channel.done(result, code, outcome)

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
        try:
            return self._encode(value).encode("utf-8")
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say escaped
            return self._encode_escaped(value).encode()

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
        flush()
        self._channel.log(traceback_of(error))
        try:
            message = str(error).split("\n", 1)[0]
        except Exception:  # its own __str__ raises
            message = ""
        return ": ".join(filter(None, (type(error).__name__, message)))[:MAX_TEXT]


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def fields_of(header):
    return dict(field.split("=", 1) for field in header.decode("utf-8").split("\0") if "=" in field)


def context_of(fields):
    return Context(
        callNum=int(fields.get("callNum", 0)),
        functionName=fields.get("functionName", ""),
        version=int(fields.get("version", 0)),
        deadline=int(fields.get("deadline", 0)),
        attempt=int(fields.get("attempt", 1)),
    )


def traceback_of(error):
    import traceback  # only here: it takes longer to load than a call takes

    # The first frame is this file's own and says nothing to the handler's author.
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    lines = traceback.format_exception(type(error), error, inner)
    return "".join(lines).encode("utf-8", "backslashreplace")


def flush():
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        try:
            stream.flush()
        except Exception:
            pass  # detached, closed, or replaced by something else


def stream_to(channel):
    return io.TextIOWrapper(
        io.BufferedWriter(Logs(channel)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


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
    return channel


def load(channel):
    """The bundle's handler; ends the process with 1 where it cannot be loaded."""
    # In place of this file's own folder, which is none of the handler's business.
    sys.path[0] = os.getcwd()
    try:
        import handler

        if not callable(getattr(handler, "handler", None)):
            raise TypeError("handler.py must define handler(params, context)")
        return handler.handler
    except BaseException as error:
        channel.log(traceback_of(error))
        sys.exit(1)


def serve(channel, caller):
    header, pieces = b"", []
    while not channel.forked:
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
    sys.stdout = sys.__stdout__ = stream_to(channel)
    sys.stderr = sys.__stderr__ = stream_to(channel)
    atexit.register(end, channel)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)  # JSON has integers of any length
    stuck = threading.Timer(LOAD_PATIENCE, channel.show_outside)
    stuck.daemon = True
    stuck.start()
    handler = load(channel)
    stuck.cancel()
    flush()  # the rest of an unfinished line belongs to no call
    if channel.forked:
        return
    channel.ready()
    try:
        serve(channel, Caller(handler, channel))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the worker has gone: nobody is left to tell


def end(channel):
    flush()
    if not channel.forked:
        channel.show_outside()


if __name__ == "__main__":
    main()
