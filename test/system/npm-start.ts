import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../testkit/ports.js';
import { eventually } from '../../testkit/wait.js';
import { HttpClient } from '../../testkit/http-client.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Panal as a user starts it. */
export class NpmStart extends HttpClient {
  readonly dataDir: string;
  output = '';
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number, dataDir: string) {
    super(`http://127.0.0.1:${port}`);
    this.#child = child;
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
}
