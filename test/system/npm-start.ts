import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../support/ports.js';
import { eventually } from '../support/wait.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown>;
}

/** Panal as a user starts it. */
export class NpmStart {
  readonly url: string;
  readonly dataDir: string;
  output = '';
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number, dataDir: string) {
    this.#child = child;
    this.url = `http://127.0.0.1:${port}`;
    this.dataDir = dataDir;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
  }

  /** Runs `npm start` with these settings, and waits until it greets. */
  static async run(dataDir: string, settings: Record<string, string>): Promise<NpmStart> {
    const [port, zmqPort] = [await freePorts(), await freePorts()];
    const addresses = {
      PORT: String(port),
      ZMQ_BIND_ADDRESS: `tcp://127.0.0.1:${zmqPort}`,
      FAAS_DATA_DIR: dataDir,
    };
    const child = spawn('npm', ['start'], { cwd: ROOT, env: { ...process.env, ...addresses, ...settings } });
    const started = new NpmStart(child, port, dataDir);
    try {
      await eventually(
        'npm start greets',
        () => {
          if (child.exitCode !== null) throw new Error(`npm start ended: ${started.output}`);
          return started.output.includes('Try it in another terminal');
        },
        120_000,
      );
    } catch (error) {
      child.kill('SIGKILL');
      throw new Error(`npm start did not greet; it said: ${started.output}`, { cause: error });
    }
    return started;
  }

  /** As Ctrl-C does; resolves with the exit code. */
  async interrupt(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    this.#child.kill('SIGINT');
    await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  async request(method: string, path: string, body?: string | FormData): Promise<Answer> {
    const response = await fetch(new URL(path, this.url), {
      method,
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    let json: Record<string, unknown> = {};
    if (response.headers.get('content-type')?.includes('json') === true) {
      json = JSON.parse(text) as Record<string, unknown>;
    }
    return { status: response.status, headers: response.headers, text, json };
  }

  async post(path: string, body: unknown): Promise<Answer> {
    return await this.request('POST', path, JSON.stringify(body));
  }

  /** Uploads a bundle as `curl -F module=@FILE` does. */
  async upload(
    path: string,
    archive: Uint8Array,
    fileName: string,
    fields: Record<string, string> = {},
  ): Promise<Answer> {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.set(name, value);
    form.set('module', new Blob([new Uint8Array(archive)]), fileName);
    return await this.request('POST', path, form);
  }

  /** Polls a call until it is settled. */
  async settled(callNum: unknown, ms = 120_000): Promise<Record<string, unknown>> {
    return await eventually(
      `call ${String(callNum)} settles`,
      async () => {
        const { json } = await this.request('GET', `/call/${String(callNum)}`);
        return json.status !== 'PENDING' && json.status !== 'RUNNING' ? json : undefined;
      },
      ms,
    );
  }
}
