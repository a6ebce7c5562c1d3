"""
A function that means harm. Each attack returns a list of what it achieved: empty is what everybody else hopes for.
Attacks that never end by themselves return nothing; what became of them is to be seen from outside.
"""
import ctypes
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
MIB = 1 << 20


def alive(p):
    return []


# What is not theirs to take


def fork_bomb(p):
    while True:
        try:
            os.fork()
        except OSError:
            pass


def memory_bomb(p):
    eaten = []
    while True:
        eaten.append(os.urandom(MIB) * 16)


def fill_memory_files(p):
    """Files that lie in memory are to count as memory; says where it got past that."""
    written = 0
    for folder in [line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "tmpfs"]:
        try:
            with open(folder + "/fill", "wb") as file:
                while written <= p["past"]:
                    file.write(bytes(MIB))
                    written += 1
        except OSError:
            pass
    return ["%d MiB" % written] if written > p["past"] else []


def fill_disk(p):
    piece, number = os.urandom(MIB), 0
    while True:
        number += 1
        try:
            with open("%s/fill-%d" % (os.path.expanduser(p["folder"]), number), "wb") as file:
                for _ in range(8):
                    file.write(piece)
        except OSError:
            time.sleep(0.05)


def huge_file(p):
    """One file of so many MiB, by its size alone and by what is written at its end.

    Neither takes much of the disk: what takes more than its share of that is another attack.
    """
    achieved = []
    try:
        with open("sparse", "wb") as file:
            file.truncate(p["past"] * MIB)
        achieved.append("sparse")
    except OSError:
        pass
    try:
        with open("huge", "wb") as file:
            file.seek((p["past"] - 2) * MIB)
            for _ in range(2):
                file.write(bytes(MIB))
        achieved.append("huge")
    except OSError:
        pass
    for name in ("sparse", "huge"):
        os.unlink(name)
    return achieved


def flood_stdout(p):
    flood(1)


def flood_stderr(p):
    flood(2)


def flood(fd):
    piece = b"x" * 65536  # and never the end of a line
    while True:
        os.write(fd, piece)


def flood_result(p):
    return "x" * p["bytes"]


# What is not theirs to see


def read_files(p):
    """Looks for the secret: where it is known to lie, in other processes, and by the name of its file."""
    achieved = []
    roots = [""] + ["/proc/%s/root" % pid for pid in pids() + ["self"]] + ["../" * 40]
    for path in [root + path for root in roots for path in p["paths"]]:
        if p["secret"].encode() in content(path):
            achieved.append(path)
    for pid in strangers():
        if p["secret"].encode() in content("/proc/%s/environ" % pid):
            achieved.append("environment of %s" % pid)
    system = ("/proc", "/sys", "/usr", "/lib", sys.base_prefix)
    for folder, folders, files in os.walk(p["walk"]):
        folders[:] = [each for each in folders if os.path.join(folder, each) not in system]
        if p["file"] in files:
            achieved.append(os.path.join(folder, p["file"]))
    for path in p["sockets"]:
        try:
            socket.socket(socket.AF_UNIX).connect(path)
            achieved.append(path)
        except OSError:
            pass
    return achieved


def reach(p):
    """Connects to addresses; `HOST:PORT` each."""
    achieved = []
    for address in p["addresses"]:
        host, port = address.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            achieved.append(address)
        except OSError:
            pass
    return achieved


def reach_proxied(p):
    """The same by the proxy that the environment names, as a tunnel and as a plain request: to any answer of theirs."""
    proxy = os.environ.get("http_proxy", "").replace("http://", "").split(":")
    achieved = []
    for address in p["addresses"] if len(proxy) == 2 else []:
        host = address.rsplit(":", 1)[0]
        for line in ("CONNECT %s HTTP/1.1" % address, "GET http://%s/ HTTP/1.1" % address):
            with socket.create_connection((proxy[0], int(proxy[1])), timeout=10) as stream:
                stream.sendall(("%s\r\nHost: %s\r\nConnection: close\r\n\r\n" % (line, host)).encode())
                answer = stream.recv(4096)
            if answer.split(b" ")[1:2] != [b"403"]:
                achieved.append("%s: %r" % (line, answer[:40]))
    return achieved


# What is not theirs to change


def write_outside(p):
    achieved = []
    for folder in p["plant"]:
        # It may have such a folder of its own: whether it is the machine's, the machine sees.
        try:
            os.makedirs(folder, exist_ok=True)
            open(os.path.join(folder, p["name"]), "w").close()
        except OSError:
            pass
    for number, folder in enumerate(p["plant"]):
        # Whoever removes its folder is not to follow them.
        os.symlink(folder, "link-%d" % number)
    for path in ["/.panal/agent", "/run/panal/agent", "/dev/panal/agent"] + switches():
        try:
            # Who may override modes can open what the kernel takes no write of.
            writable = os.stat(path).st_mode & 0o222
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            achieved += [path] if writable else []
        except OSError:
            pass
    try:
        os.mknod("disk", 0o600 | stat.S_IFBLK, os.makedev(p["disk"][0], p["disk"][1]))
        open("disk", "rb").close()
        achieved.append("disk")
    except OSError:
        pass
    os.makedirs("mounted", exist_ok=True)
    if libc.mount(b"tmpfs", b"mounted", b"tmpfs", 0, None) == 0:
        libc.umount(b"mounted")
        achieved.append("mount")
    try:
        os.chroot(".")
        achieved.append("chroot")
    except OSError:
        pass
    return achieved


def plant_links(p):
    """Leaves entries that a program must not follow, wait for or fail at when it copies, reads or removes the folder."""
    for folder in (os.getcwd(), os.environ.get("HOME", "/root")):
        os.makedirs(os.path.join(folder, "deep", *["d"] * 200), exist_ok=True)
        for name, target in (("host", "/"), (".ssh", "/root/.ssh"), ("up", "../" * 40), ("secret", p["paths"][0])):
            os.symlink(target, os.path.join(folder, name))
        os.symlink("loop", os.path.join(folder, "loop"))
        os.mkfifo(os.path.join(folder, "pipe"))
        socket.socket(socket.AF_UNIX).bind(os.path.join(folder, "socket"))
        for name in ("closed", "-rf", "two\nlines"):
            open(os.path.join(folder, name), "w").close()
        open(os.path.join(folder, "setuid"), "w").close()
        os.chmod(os.path.join(folder, "setuid"), 0o6777)
        os.chmod(os.path.join(folder, "closed"), 0)
        os.mkdir(os.path.join(folder, "dark"))
        os.mkdir(os.path.join(folder, "dark", "inner"))
        os.chmod(os.path.join(folder, "dark"), 0)
    return []


def swap_folder(p):
    """Puts a link in the place of its own folder, and of its home."""
    achieved = []
    own = os.getcwd()
    os.chdir("/")
    for folder in (own, os.environ.get("HOME", "/root")):
        try:
            os.rename(folder, folder + "-away")
            os.symlink(p["target"], folder)
            achieved.append(folder)
        except OSError:
            pass
    return [] if p["may"] else achieved


def follow_links(p):
    """Where what it planted leads now."""
    achieved = []
    for folder in (os.getcwd(), os.environ.get("HOME", "/root")):
        paths = [os.path.join(folder, name) for name in ("secret", "host" + p["paths"][0], "up" + p["paths"][0])]
        achieved += [path for path in paths if p["secret"].encode() in content(path)]
    return achieved


def installed(p):
    """What the attack achieved from `dependencies`."""
    with open("achieved.json") as file:
        return json.load(file)


def switches():
    """What the kernel has in /proc beside processes. What waits for pressure may be written by everyone."""
    folders = [each for each in os.listdir("/proc") if not each.isdigit() and each not in ("self", "thread-self", "pressure")]
    files = [os.path.join(folder, name) for top in folders for folder, _, names in os.walk("/proc/" + top) for name in names]
    return files + ["/proc/" + each for each in folders if os.path.isfile("/proc/" + each)]


def trace(p):
    """Takes over the processes that are not its own, by tracing them or through /proc."""
    achieved = []
    for pid in strangers():
        if libc.ptrace(PTRACE_SEIZE, int(pid), 0, 0) == 0:
            achieved.append("%s by ptrace" % pid)
        for name in ("mem", "environ"):
            try:
                open("/proc/%s/%s" % (pid, name), "rb").close()
                achieved.append("%s by %s" % (pid, name))
            except OSError:
                pass
        for fd in range(64):
            try:
                os.close(os.open("/proc/%s/fd/%d" % (pid, fd), os.O_RDONLY | os.O_NONBLOCK))
                achieved.append("%s by descriptor %d" % (pid, fd))
            except OSError:
                pass
    return achieved


def send_signals(p):
    """To all that is not its own; it would be killed itself, or never end, where that has an effect."""
    achieved = []
    for pid in strangers():
        for number in set(signal.valid_signals()) - {signal.SIGCONT}:
            try:
                os.kill(int(pid), number)
                achieved.append(pid)
            except OSError:
                pass
    # Who passes them on, as the engine's init does, does so a moment later: to a handler, in this call of its own.
    time.sleep(1)
    # PID 1 of its own namespace takes no signal it did not ask for: to be allowed to send one means nothing.
    return sorted(set(achieved) - {"1"})


def strangers():
    own = [b"attacker", b"test.py"]
    return [pid for pid in pids() if int(pid) != os.getpid() and not any(s in content("/proc/%s/cmdline" % pid) for s in own)]


def frame(kind, payload):
    return struct.pack(">IB", len(payload) + 1, kind) + payload


OUT, DONE = 0x12, 0x14
FORGED = frame(OUT, b"forged") + frame(DONE, struct.pack(">iB", 0, 0))


def forge_frames(p):
    """Ends its own call, and the one after it, by frames of the runtime protocol, wherever it can write them."""
    achieved = []
    for path in ("/.panal/run/socket", "/run/panal/socket/socket"):
        try:
            stream = socket.socket(socket.AF_UNIX)
            stream.connect(path)
            stream.sendall(FORGED * 2)
            achieved.append(path)
        except OSError:
            pass
    for pid in strangers():
        for fd in range(64):
            try:
                os.write(os.open("/proc/%s/fd/%d" % (pid, fd), os.O_WRONLY), FORGED * 2)
                achieved.append("descriptor %d of %s" % (fd, pid))
            except OSError:
                pass
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and socket.socket(fileno=os.dup(fd)).getpeername() is not None:
                os.write(fd, FORGED * 2)
                achieved.append("socket %d" % fd)
        except OSError:
            pass
    os.write(1, FORGED * 2)
    return achieved


# What is over when the call is over


def linger(p):
    """Leaves a process: of another session, without a parent, with no stream of the call's, that runs from its killer."""
    code = "import os, signal, time\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n"
    code += "while True:\n  time.sleep(%s)\n  if os.fork(): os._exit(0)\n  os.setsid()\n" % p["pace"]
    subprocess.Popen(
        [sys.executable, "-c", code, "lingering-" + p["mark"]],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return [] if lingering(p) else ["nothing to find"]


def lingering(p):
    """Processes that an earlier call left: a single look can miss one that forks and ends all the time."""
    mark = ("lingering-" + p["mark"]).encode()
    for _ in range(50):
        found = [pid for pid in pids() if mark in content("/proc/%s/cmdline" % pid)]
        if found:
            return found
        time.sleep(0.01)
    return []


def pids():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read(MIB)
    except OSError:
        return b""


def run(params):
    return globals()[params["attack"]](params)
