/** The other end of `corridor-broker.mjs`: hands calls to handler loops, which are processes in no container. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Dealer, Push } from 'zeromq';
import { encodeCall, FRAME, FrameParser } from '../../worker/dist/contracts/protocol/frames.js';
import { Batch } from './batch.mjs';

const [dispatchAt, repliesAt, folder] = process.argv.slice(2);
const LOOP = fileURLToPath(new URL('../../runtimes/python/loop.py', import.meta.url));
const HANDLERS = 4;
/** Calls that wait here for each handler, as many as in Panal's workers at most. */
const AHEAD = 8;

const dispatch = new Dealer();
const replies = new Push();
dispatch.connect(dispatchAt);
replies.connect(repliesAt);

const outcomes = new Batch((batch) => replies.send(JSON.stringify(batch)));
const line = [];
const idle = [];

/** A process that serves one call at a time, over a unix socket. */
class Handler {
  #socket;
  #callNum;
  #result;

  /** Resolves once it takes calls. */
  async start(number) {
    const path = `${folder}/handler-${number}`;
    const server = createServer().listen(path);
    await once(server, 'listening');
    const child = spawn('python3', [LOOP], {
      cwd: folder,
      env: { ...process.env, FAAS_SOCKET: path },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    process.once('exit', () => child.kill());
    [this.#socket] = await once(server, 'connection');
    await new Promise((resolve) => {
      const parser = new FrameParser((type, payload) => {
        if (type === FRAME.READY) resolve();
        else if (type === FRAME.OUT) this.#result = payload.toString();
        else if (type === FRAME.DONE) this.#ended();
      });
      this.#socket.on('data', (chunk) => parser.push(chunk));
    });
  }

  begin({ callNum, funcName, params }) {
    this.#callNum = callNum;
    const fields = [`callNum=${callNum}`, `functionName=${funcName}`];
    for (const frame of encodeCall(fields, Buffer.from(params))) this.#socket.write(frame);
  }

  #ended() {
    outcomes.add({ callNum: this.#callNum, result: this.#result });
    const next = line.shift();
    if (next === undefined) idle.push(this);
    else this.begin(next);
  }
}

process.on('disconnect', () => process.exit(0));
for (let number = 0; number < HANDLERS; number++) {
  const handler = new Handler();
  await handler.start(number);
  idle.push(handler);
}
await dispatch.send(String(HANDLERS * (1 + AHEAD)));
for await (const [batch] of dispatch) {
  for (const call of JSON.parse(batch)) {
    const handler = idle.pop();
    if (handler === undefined) line.push(call);
    else handler.begin(call);
  }
}
