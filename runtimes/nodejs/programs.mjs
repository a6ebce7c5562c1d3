/**
 * What programs print that inherit stdout and stderr.
 *
 * Node.js cannot make a pipe of its own or duplicate a descriptor, so a named pipe stands in: each call that starts such
 * a program gets one, and it loses its name at once. What a program writes there after its call belongs to no call.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const READ_SIZE = 64 << 10; // all that a pipe holds

/** A pipe that the programs of one call print into. */
export class ProgramOutput {
  /** The end to write, for programs; undefined once the call has ended. */
  fd;
  #log;
  #from;
  #socket;

  /** Undefined where no pipe can be made. `log` takes what programs write. */
  static open(log) {
    let folder;
    try {
      folder = fs.mkdtempSync(path.join(os.tmpdir(), 'panal-'));
      const name = path.join(folder, 'out');
      const { status } = childProcess.spawnSync('mkfifo', [name], { stdio: 'ignore' });
      return status === 0 ? new ProgramOutput(name, log) : undefined;
    } catch {
      return undefined;
    } finally {
      if (folder !== undefined) fs.rmSync(folder, { recursive: true, force: true });
    }
  }

  constructor(name, log) {
    this.#log = log;
    this.#from = fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    this.fd = fs.openSync(name, fs.constants.O_WRONLY);
    this.#socket = new net.Socket({ fd: this.#from, readable: true, writable: false });
    this.#socket.on('data', (data) => this.#log(data));
    this.#socket.on('error', () => undefined); // its close follows
    this.#socket.on('close', () => (this.#from = undefined));
  }

  /** Logs all that was written so far, and has not come as an event yet. */
  drain() {
    const buffer = Buffer.allocUnsafe(READ_SIZE);
    try {
      const size = this.#from === undefined ? 0 : fs.readSync(this.#from, buffer);
      if (size > 0) this.#log(buffer.subarray(0, size));
    } catch {
      // Nothing to read now.
    }
  }

  /** Leaves the pipe to programs that still run; from now on `log` takes what they write. */
  leave(log) {
    this.#log = log;
    fs.closeSync(this.fd);
    this.fd = undefined;
  }
}

/** Leads what later programs print, where they inherit stdout or stderr, to the descriptor that `output` gives. */
export function leadPrograms(output) {
  const { spawn } = childProcess.ChildProcess.prototype;
  childProcess.ChildProcess.prototype.spawn = function (options) {
    return spawn.call(this, { ...options, stdio: led(options.stdio, output) });
  };
}

function led(stdio, output) {
  const each = typeof stdio === 'string' ? [stdio, stdio, stdio] : stdio;
  if (!Array.isArray(each)) return stdio;
  const inherits = (entry, index) => index > 0 && index < 3 && isInherited(entry);
  const fd = each.some(inherits) ? output() : undefined;
  return fd === undefined ? stdio : each.map((entry, index) => (inherits(entry, index) ? fd : entry));
}

function isInherited(entry) {
  const fd = typeof entry === 'object' ? entry?.fd : entry;
  return fd === 'inherit' || fd === 1 || fd === 2;
}
