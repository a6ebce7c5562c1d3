/**
 * Keeps a Node.js handler loaded and serves calls to it, one at a time.
 *
 * Runs in the folder of a bundle that holds handler.mjs (.js, .cjs, .ts) with a default export
 * `(params, context) => value`, plain or async. Speaks the runtime protocol, version 1
 * (docs/runtime-protocol.md), over the unix socket named by FAAS_SOCKET, or over stdin and
 * stdout where that is not set.
 *
 * A small call costs one read and one write: its frames arrive together, and its result
 * and the end of the call leave together. Needs Node.js 20 and nothing but its library.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isUtf8 } from 'node:buffer';
import cluster from 'node:cluster';
import fs from 'node:fs';
import { register } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import {
  CALL,
  END_INPUT,
  ERR,
  FrameReader,
  INPUT,
  OUT,
  READY,
  SHUTDOWN,
  doneFrame,
  frames,
} from './frames.mjs';
import { ProgramOutput, leadPrograms } from './programs.mjs';

const RETURNED = 0;
const RAISED = 1;
const MAX_TEXT = 1000; // characters of the one-line message of an exception
const READ_SIZE = 64 << 10;
const MAX_OUTSIDE = 64 << 10; // bytes kept of what was written outside of calls
const LOAD_PATIENCE_MS = 10_000; // after which a handler that still loads may be stuck
const NOTHING = Buffer.alloc(0);
const UNPRINTABLE = 'an error that cannot be printed';

/** Stands in for stdout and stderr: what is written to it goes to `log`, at once. */
class Logs extends Writable {
  fd = 2; // for libraries that insist; only the real stderr has a descriptor
  #log;

  constructor(log) {
    super({ decodeStrings: true });
    this.#log = log;
  }

  _write(chunk, _encoding, done) {
    this.#log(chunk);
    done();
  }

  /** As the real ones, it outlives whoever ends it: the next call prints as well. */
  end(...args) {
    const [chunk, encoding] = args;
    if (chunk != null && typeof chunk !== 'function') this.write(chunk, encoding);
    const done = args.find((each) => typeof each === 'function');
    if (done !== undefined) process.nextTick(done);
    return this;
  }

  destroy() {
    return this;
  }
}

/** Serves the calls that arrive as frames, once it is `ready`; `send` takes the frames that go back. */
class Calls {
  #handler;
  #send;
  #header = '';
  #pieces = [];
  #current; // the fields of the call that runs
  #origin = new AsyncLocalStorage(); // the fields of the call that code was started by
  #programs; // what the programs print that were started since the last call began or ended
  #outside = NOTHING;
  #late = ''; // errors that came after their call, for the logs of the next

  ready(handler, send) {
    this.#handler = handler;
    this.#send = send;
    this.#leavePrograms();
    this.#send(frames(READY, Buffer.from('{"protocol":1,"kind":"handler"}')));
  }

  /** Sends logs of the call; outside of calls, keeps them for the real stderr. */
  log(data) {
    this.#programs?.drain();
    this.#put(data);
  }

  #put(data) {
    if (this.#current !== undefined) this.#send(frames(ERR, data));
    else this.#keep(data);
  }

  #keep(data) {
    this.#outside = Buffer.concat([this.#outside, data]).subarray(-MAX_OUTSIDE);
  }

  /** Writes what was said outside of calls to the real stderr, unless that leads to a call's logs now. */
  showOutside() {
    this.#programs?.drain();
    if (this.#current !== undefined) return;
    writeStderr(this.#outside);
    this.#outside = NOTHING;
  }

  /** Where programs print that inherit stdout or stderr. */
  programsFd() {
    this.#programs ??= ProgramOutput.open((data) => this.#put(data));
    return this.#programs?.fd;
  }

  #leavePrograms() {
    this.#programs?.leave((data) => this.#keep(data));
    this.#programs = undefined;
  }

  /** Ends the process if the error is of the call that runs; one that is of none, or of an earlier one, is only logged. */
  onUncaught(error) {
    const origin = this.#origin.getStore();
    if (origin !== undefined && origin === this.#current) {
      this.#report(error);
      process.exit(1);
    }
    const whose = origin === undefined ? 'of no call' : `of call ${origin.get('callNum')}, after its answer`;
    this.#late = `An error ${whose}: ${textOf(error)}\n`.slice(0, MAX_OUTSIDE);
    if (this.#current !== undefined) this.#logLate();
  }

  #logLate() {
    const late = this.#late;
    this.#late = '';
    if (late !== '') this.log(Buffer.from(late));
  }

  onFrame(type, payload) {
    if (type === CALL) {
      this.#header = payload.toString();
      this.#pieces = [];
    } else if (type === INPUT) {
      this.#pieces.push(Buffer.from(payload));
    } else if (type === END_INPUT) {
      const pieces = this.#pieces;
      this.#pieces = [];
      void this.#call(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
    } else if (type === SHUTDOWN) {
      process.exit(0);
    }
  }

  /** Never rejects: whatever the handler does ends in a DONE frame. */
  async #call(body) {
    const fields = fieldsOf(this.#header);
    this.#leavePrograms();
    this.#current = fields;
    this.#logLate();
    let result = NOTHING;
    let code = RETURNED;
    let text = '';
    try {
      const handler = this.#handler; // called as a function, not as a method of this object
      let value = this.#origin.run(fields, handler, paramsOf(body), contextOf(fields));
      if (typeof value?.then === 'function') value = await value;
      result = bytesOf(value);
    } catch (error) {
      code = RAISED;
      text = this.#report(error);
    }
    this.#programs?.drain();
    this.#current = undefined;
    const name = fields.get('call');
    const named = name === undefined ? text : `${text}\0${name}`;
    this.#send(Buffer.concat([frames(OUT, result), doneFrame(code, named)]));
    this.#leavePrograms();
  }

  /** Logs the error with its stack and gives its message in one line. */
  #report(error) {
    this.log(Buffer.from(`${textOf(error)}\n`));
    try {
      return String(error).split('\n', 1)[0].slice(0, MAX_TEXT);
    } catch {
      return UNPRINTABLE;
    }
  }
}

function textOf(error) {
  try {
    return inspect(error);
  } catch {
    return UNPRINTABLE; // its own toString, or such, throws
  }
}

function writeStderr(data) {
  try {
    fs.writeSync(2, data);
  } catch {
    // Full, or closed by its reader. Nobody is left to be told of a line that nobody reads.
  }
}

function paramsOf(body) {
  if (body.length === 0) return {};
  if (!isUtf8(body)) return body;
  const text = body.toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function fieldsOf(header) {
  const fields = new Map();
  for (const field of header.split('\0')) {
    const equals = field.indexOf('=');
    if (equals > 0) fields.set(field.slice(0, equals), field.slice(equals + 1));
  }
  return fields;
}

function contextOf(fields) {
  return {
    callNum: Number(fields.get('callNum') ?? 0),
    functionName: fields.get('functionName') ?? '',
    version: Number(fields.get('version') ?? 0),
    deadline: Number(fields.get('deadline') ?? 0),
    attempt: Number(fields.get('attempt') ?? 1),
  };
}

function bytesOf(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value instanceof Uint8Array) return value;
  const text = value === undefined ? 'null' : JSON.stringify(value);
  if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON text`);
  return Buffer.from(text);
}

/**
 * Gives frames a descriptor of their own in place of stdin or stdout, so that a stray
 * print, also of a program that the handler starts, goes elsewhere and not among them.
 * Node.js has no dup(); Linux opens a pipe again by its name in /proc, but not a socket
 * and not always another user's pipe: there only what goes through process.stdout is kept out.
 */
function setAside(fd, flags, replacement) {
  let own;
  try {
    own = fs.openSync(`/proc/self/fd/${fd}`, flags | fs.constants.O_NONBLOCK);
  } catch {
    return fd;
  }
  // The next file to be opened takes the lowest free descriptor: the one just closed.
  fs.closeSync(fd);
  try {
    fs.openSync(replacement, flags);
  } catch {
    fs.openSync('/dev/null', flags);
  }
  return own;
}

/** Where frames come from and go to, out of reach of the handler and of what it starts. */
function openStreams(onread) {
  const { FAAS_SOCKET } = process.env;
  if (FAAS_SOCKET) {
    delete process.env.FAAS_SOCKET;
    const socket = net.connect({ path: FAAS_SOCKET, onread });
    return { input: socket, output: socket };
  }
  const from = setAside(0, fs.constants.O_RDONLY, '/dev/null');
  const to = setAside(1, fs.constants.O_WRONLY, '/proc/self/fd/2');
  const input = new net.Socket({ fd: from, readable: true, writable: false, onread });
  return { input, output: new net.Socket({ fd: to, readable: false, writable: true }) };
}

/** Where a handler may be; the first of these files that is there counts. */
const HANDLERS = ['handler.mjs', 'handler.js', 'handler.cjs', 'handler.ts'];

/** The bundle's handler. If it cannot be loaded the process ends, and Node.js says why, with file and line. */
async function load() {
  const file = HANDLERS.find((name) => fs.existsSync(name));
  if (file === undefined)
    throw new Error(`there is none of ${HANDLERS.join(', ')} at the root of the bundle`);
  // Newer versions of Node.js take the types away themselves.
  if (file.endsWith('.ts') && !process.features.typescript) register('./typescript.mjs', import.meta.url);
  const module = await import(pathToFileURL(path.resolve(file)).href);
  // CommonJS that was made of a module has its default export one level deeper.
  const handler = module.default?.default ?? module.default;
  if (typeof handler !== 'function') {
    const form = file.endsWith('.cjs') ? 'set module.exports to' : 'export default';
    throw new TypeError(`${file} must ${form} (params, context) => value`);
  }
  return handler;
}

async function serve() {
  const calls = new Calls();
  const logs = new Logs((data) => calls.log(data));
  for (const name of ['stdout', 'stderr']) {
    Object.defineProperty(process, name, { value: logs, configurable: true, enumerable: true });
  }
  leadPrograms(() => calls.programsFd());
  process.on('exit', () => calls.showOutside());

  const reader = new FrameReader((type, payload) => calls.onFrame(type, payload));
  const { input, output } = openStreams({
    buffer: Buffer.allocUnsafe(READ_SIZE),
    callback: (size, buffer) => {
      try {
        reader.push(buffer.subarray(0, size));
      } catch (error) {
        fail(error); // not of this protocol
      }
      return true;
    },
  });
  for (const stream of [input, output]) {
    stream.on('close', () => process.exit(0));
    stream.on('error', (error) => {
      // The worker has gone: nobody is left to serve, or to tell.
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') process.exit(0);
      fail(error);
    });
  }
  calls.ready(await loaded(calls), (data) => output.write(data));
  process.on('uncaughtException', (error) => {
    // A handler that listens as well decides itself.
    if (process.listenerCount('uncaughtException') === 1) calls.onUncaught(error);
  });
}

/** The handler. Until it is there, Node.js itself says what ends the process, after what was printed before. */
async function loaded(calls) {
  const show = () => calls.showOutside();
  process.on('uncaughtExceptionMonitor', show);
  const stuck = setTimeout(show, LOAD_PATIENCE_MS).unref();
  const handler = await load();
  clearTimeout(stuck);
  process.off('uncaughtExceptionMonitor', show);
  return handler;
}

function fail(error) {
  writeStderr(`${inspect(error)}\n`);
  process.exit(1);
}

// A process that the handler forks by node:cluster runs this file too: it is the handler's, and serves no calls.
if (cluster.isWorker) await load();
else await serve();
