import { open, writeFile, type FileHandle } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';

/**
 * Hears from each function body that it runs, and for which request: from processes by a file, from containers over
 * the network. So it knows of bodies whose outcome nobody ever heard of.
 */
export class Witness {
  /** How often a body ran, by request. */
  readonly runs = new Map<string, number>();
  readonly #path: string;
  #file: FileHandle | undefined;
  #position = 0;
  #rest = '';
  #server: Server | undefined;
  #extra = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    await writeFile(this.#path, '', { mode: 0o666 });
    this.#file = await open(this.#path, 'r');
  }

  /** For functions that can write where this machine reads. */
  get file(): string {
    return `file:${this.#path}`;
  }

  /** For functions in containers; `host` is what they call this machine. */
  async listen(host: string): Promise<string> {
    this.#server = createServer((socket) => {
      let text = '';
      socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      socket.on('error', () => undefined);
      socket.on('close', () => this.#heard(text.trim()));
    });
    this.#server.listen(0, host);
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('a server has a port');
    return `tcp:${host}:${address.port}`;
  }

  /** How many bodies ran since it was asked last for requests whose body had run before. */
  async extraRuns(): Promise<number> {
    await this.#read();
    const extra = this.#extra;
    this.#extra = 0;
    return extra;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#server?.close();
  }

  async #read(): Promise<void> {
    const buffer = Buffer.alloc(256 * 1024);
    for (;;) {
      const read = await this.#file?.read(buffer, 0, buffer.length, this.#position);
      if (read === undefined || read.bytesRead === 0) return;
      this.#position += read.bytesRead;
      const lines = (this.#rest + buffer.toString('utf8', 0, read.bytesRead)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#heard(line);
    }
  }

  #heard(token: string): void {
    if (token === '') return;
    const runs = (this.runs.get(token) ?? 0) + 1;
    this.runs.set(token, runs);
    if (runs > 1) this.#extra++;
  }
}
