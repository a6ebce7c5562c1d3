import { expect } from 'chai';
import { LoopProcess, TRANSPORTS, callFrames } from './loop-process.js';

/** What a handler may do to its own process, and what of that may reach calls. */
const HANDLER = `
import ctypes, io, multiprocessing, os, subprocess, sys, time

print("said while it was imported")
subprocess.run(["echo", "a program said while it was imported"])
def double(number):
    return number * 2

def inner_and(send):
    fork = multiprocessing.get_context("fork")
    receive, inner = fork.Pipe(duplex=False)
    process = fork.Process(target=inner.send, args=("from the inner one",))
    process.start()
    process.join()
    send.send(receive.recv() if receive.poll() else "nothing")

def handler(params, context):
    do = params.get("do")
    if do in ("fork", "fork in C"):
        pid = os.fork() if do == "fork" else ctypes.CDLL(None).fork()
        if pid == 0:
            print("the child prints")
            if params["then"] == "raise":
                raise ValueError("in the child")
            if params["then"] == "exit":
                sys.exit(7)
            if params["then"] == "_exit":
                os._exit(8)
            return "the child's answer"
        return os.waitpid(pid, 0)[1] >> 8
    if do == "abandon":
        if os.fork() == 0:
            time.sleep(60)
        return "left a child behind"
    if do == "exit":
        sys.exit(3)
    if do == "spawn":
        with multiprocessing.get_context(params["by"]).Pool(2) as pool:
            return pool.map(double, [1, 2, 3])
    if do == "nest":
        fork = multiprocessing.get_context("fork")
        receive, send = fork.Pipe(duplex=False)
        process = fork.Process(target=inner_and, args=(send,))
        process.start()
        process.join()
        return receive.recv() if receive.poll() else "nothing"
    if do == "detach":
        sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="utf-8")
        print("to the new one")
        return "ok"
    if do == "close":
        sys.stdout.close()
        sys.stderr.close()
        raise ValueError("seen all the same")
    if do == "replace":
        sys.stdout = None
        sys.stderr = object()
        return "ok"
    if do == "close descriptors":
        os.close(1)
        os.close(2)
        return "ok"
    if do == "duplicate":
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        return "ok"
    if do == "child":
        subprocess.run(["sh", "-c", "echo from a program; echo and its errors >&2"])
        return "ok"
    if do == "order":
        for number in range(3):
            print(number)
            subprocess.run(["echo", "child", str(number)])
        return "ok"
    if do == "flood":
        subprocess.run(["sh", "-c", "head -c 1000000 /dev/zero | tr '\\\\0' x"])
        return "ok"
    if do == "leave":
        os.mkfifo("go")
        os.mkfifo("gone")
        command = "cat go; echo late; echo late too >&2; exec >gone 2>&1"
        if params["by"] == "shell":
            subprocess.run(["sh", "-c", "(" + command + ") & echo started"])
        elif params["by"] == "popen":
            subprocess.Popen(["sh", "-c", command])
            print("started")
        elif os.fork() == 0:
            os.execvp("sh", ["sh", "-c", command])
        else:
            print("started")
        return "left"
    if do == "let go":
        print("in the next call")
        open("go", "w").close()
        open("gone").read()
        subprocess.run(["echo", "and its own program"])
        return "ok"
    if do == "redirect":
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        subprocess.run(["echo", "to nobody"])
        return "ok"
    if do == "grow":
        return params["n"] * 10 ** 10000
    if do == "surrogate":
        return [params["text"]]
    return params.get("give")
`;

for (const transport of TRANSPORTS) {
  describe(`a Python handler over ${transport}`, () => {
    let loop: LoopProcess;
    beforeEach(async () => {
      loop = await LoopProcess.start('Python', transport, HANDLER);
      await loop.next();
    });
    afterEach(() => loop.stop());

    const call = async (params: object, header = {}) => {
      const { result, ...rest } = await loop.call(JSON.stringify(params), header);
      return { result: result.toString(), ...rest };
    };

    for (const [then, code] of [
      ['return', 0],
      ['raise', 1],
      ['exit', 7],
      ['_exit', 8],
    ] as const) {
      it(`that forks gets one answer, its own, where the child's end is to ${then}`, async () => {
        for (const ask of ['fork', 'fork in C']) {
          const { result, logs } = await call({ do: ask, then });
          expect(result).to.equal(String(code));
          if (then === 'raise') expect(logs).to.contain('ValueError: in the child');
          if (then !== '_exit') expect(logs).to.contain('the child prints');
          expect(await call({ give: 'next' })).to.include({ result: 'next', logs: '' });
        }
      });
    }

    it('that ends is known to have ended, whatever its children do', async () => {
      expect((await call({ do: 'abandon' })).result).to.equal('left a child behind');
      await loop.send(callFrames('{"do":"exit"}'));
      expect(await loop.exitCode).to.equal(3);
    });

    for (const by of ['spawn', 'forkserver', 'fork']) {
      it(`uses multiprocessing by ${by}`, async () => {
        expect((await call({ do: 'spawn', by })).result).to.equal('[2,4,6]');
        expect(await call({ give: 'next' })).to.include({ result: 'next', logs: '' });
      });
    }

    it('uses a process within a process', async () => {
      expect(await call({ do: 'nest' })).to.include({ result: 'from the inner one', logs: '' });
      expect(await call({ give: 'next' })).to.include({ result: 'next', logs: '' });
    });

    for (const what of ['detach', 'replace', 'close descriptors', 'duplicate']) {
      it(`may ${what} what it prints to`, async () => {
        expect((await call({ do: what })).result).to.equal('ok');
        expect((await call({ give: 'next' })).result).to.equal('next');
      });
    }

    it('shows its traceback although it closed what it prints to', async () => {
      const { exitCode, text, logs } = await call({ do: 'close' });
      expect([exitCode, text]).to.deep.equal([1, 'ValueError: seen all the same']);
      expect(logs).to.match(/handler.py", line \d+, in handler/);
      expect((await call({ give: 'next' })).result).to.equal('next');
    });

    it('has in its logs what its programs wrote, in order, and the next call has not', async () => {
      for (let times = 0; times < 20; times += 1) {
        expect((await call({ do: 'child' })).logs).to.equal('from a program\nand its errors\n');
        expect((await call({ give: 1 })).logs).to.equal('');
      }
      expect((await call({ do: 'order' })).logs).to.equal('0\nchild 0\n1\nchild 1\n2\nchild 2\n');
      expect((await call({ do: 'flood' })).logs).to.equal('x'.repeat(1_000_000));
    });

    for (const by of ['shell', 'popen', 'fork']) {
      it(`has in no later call's logs what a program wrote that it left behind, started by ${by}`, async () => {
        expect(await call({ do: 'leave', by })).to.include({ result: 'left', logs: 'started\n' });
        expect((await call({ do: 'let go' })).logs).to.equal('in the next call\nand its own program\n');
        expect((await call({ do: 'child' })).logs).to.equal('from a program\nand its errors\n');
        await loop.send(callFrames('{"do":"exit"}')); // a call that ends the process has its own logs, too
        expect(await loop.next()).to.equal(undefined);
        expect(await loop.stderr).to.equal('');
      });
    }

    it('leads its descriptors elsewhere for good', async () => {
      for (let times = 0; times < 2; times += 1) {
        expect(await call({ do: 'redirect' })).to.include({ result: 'ok', logs: '' });
      }
    });

    it('has in no logs what was said outside of calls, but on the real stderr in the end', async () => {
      expect((await call({ give: 1 })).logs).to.equal('');
      loop.hangUp();
      await loop.exitCode;
      const said = 'said while it was imported\na program said while it was imported\n';
      expect(await loop.stderr).to.equal(said);
    });

    it('takes and gives integers of 10,000 digits', async () => {
      const long = '7'.repeat(10_000);
      const { result } = await loop.call(`{"do":"grow","n":${long}}`);
      expect(result.toString()).to.equal(long + '0'.repeat(10_000));
    });

    it('gives half of a surrogate pair as JSON can say it', async () => {
      expect((await loop.call('{"do":"surrogate","text":"\\ud800é"}')).result.toString()).to.equal(
        '["\\ud800\\u00e9"]',
      );
    });

    it('names its call where it is asked to', async () => {
      expect((await call({ give: 1 }, { call: '17.2' })).text).to.equal('\0' + '17.2');
      expect((await call({ give: 1 })).text).to.equal('');
    });
  });
}
