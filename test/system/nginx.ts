import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../testkit/wait.js';

const CONFIG = fileURLToPath(new URL('../../hub-deployment/gateway/nginx/nginx.conf', import.meta.url));

export interface NginxOptions {
  port: number;
  /** Name or address of the broker, and its port. */
  broker: string;
  /** Port of the DNS server on 127.0.0.1 that knows the broker's name. */
  dns: number;
  /** Another guarded path each, with the host and port behind it. */
  services?: Record<string, string>;
  /** A request a second of each client, and so many at once, where the file has 100 and 200. */
  burst?: number;
}

/** nginx with the configuration that Panal comes with, in the foreground, but for its ports and folders. */
export class Nginx {
  readonly url: string;
  output = '';
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#child = child;
    this.#folder = folder;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
  }

  static async start({ port, broker, dns, services = {}, burst }: NginxOptions): Promise<Nginx> {
    const folder = await mkdtemp(join(tmpdir(), 'panal-nginx-'));
    const file = join(folder, 'nginx.conf');
    const extra = Object.entries(services).map(([path, address]) => guarded(path, address));
    let config = (await readFile(CONFIG, 'utf8'))
      .replace('broker:3333;', `${broker};`)
      .replace('resolver 127.0.0.11 ', `resolver 127.0.0.1:${dns} `)
      .replace('listen 9080;', `listen 127.0.0.1:${port};\n${extra.join('')}`)
      .replaceAll('/tmp/', `${folder}/`)
      // Which is no file here, but a socket.
      .replace('/dev/stdout', `${folder}/access.log`);
    if (burst !== undefined) {
      config = config.replace('rate=100r/s', 'rate=1r/s').replaceAll('burst=200', `burst=${burst}`);
    }
    await writeFile(file, config);
    // As root it would become somebody else, who cannot read the folder.
    const args = ['-p', folder, '-c', file, '-g', 'daemon off; master_process off;'];
    const nginx = new Nginx(spawn('nginx', args, { stdio: ['ignore', 'pipe', 'pipe'] }), folder, port);
    try {
      await eventually('nginx answers', async () => {
        if (nginx.#child.exitCode !== null) throw new Error(`nginx ended: ${nginx.output}`);
        return await fetch(`${nginx.url}/metrics`).then(
          () => true,
          () => false,
        );
      });
    } catch (error) {
      await nginx.stop();
      throw error;
    }
    return nginx;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** As the configuration's own comment shows it. */
const guarded = (path: string, address: string): string => `
    location ${path} {
      auth_request /_verify;
      auth_request_set $auth_user $upstream_http_x_faas_user;
      proxy_pass http://${address};
    }
`;
