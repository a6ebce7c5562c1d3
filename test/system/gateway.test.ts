import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { basic } from '../http/person.js';
import { tarGz } from '../../testkit/archives.js';
import { DnsServer } from '../support/dns.js';
import { temporaryFolder } from '../support/folder.js';
import { withNginx } from '../support/groups.js';
import { LiveBroker } from '../support/live-broker.js';
import { freePorts } from '../../testkit/ports.js';
import { GATEWAY_CHECKS, type Gateway } from './gateway-checks.js';
import { Nginx } from './nginx.js';

/** A service that is guarded by the gateway too; it notes what reaches it. */
async function guardedService(): Promise<{ server: Server; seen: IncomingMessage[]; address: string }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((incoming, response) => {
    seen.push(incoming);
    response.end('for users');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return { server, seen, address: `127.0.0.1:${port}` };
}

const HERE = '127.0.0.1';
const ELSEWHERE = '127.0.0.9';

/** nginx before a broker of this process, which it finds by the name `broker`. */
class LocalGateway implements Gateway {
  readonly #folder: string;
  readonly #port: number;
  readonly #dns: DnsServer;
  readonly #service: string;
  #broker: LiveBroker | undefined;
  #nginx: Nginx | undefined;

  private constructor(folder: string, port: number, dns: DnsServer, service: string) {
    this.#folder = folder;
    this.#port = port;
    this.#dns = dns;
    this.#service = service;
  }

  /** @param service address of another service that is guarded too */
  static async start(folder: string, service: string): Promise<LocalGateway> {
    const gateway = new LocalGateway(folder, await freePorts(), await DnsServer.start(HERE), service);
    await gateway.startBroker();
    await gateway.restartNginx();
    return gateway;
  }

  get url(): string {
    return this.nginx.url;
  }

  get nginx(): Nginx {
    if (this.#nginx === undefined) throw new Error('nginx does not run');
    return this.#nginx;
  }

  get broker(): LiveBroker {
    if (this.#broker === undefined) throw new Error('the broker does not run');
    return this.#broker;
  }

  async restartNginx(options: { burst?: number } = {}): Promise<void> {
    await this.#nginx?.stop();
    this.#nginx = await Nginx.start({
      port: await freePorts(),
      broker: `broker:${this.#port}`,
      dns: this.#dns.port,
      services: { '/reports/': this.#service },
      ...options,
    });
  }

  async startBroker(): Promise<void> {
    this.#broker = await LiveBroker.start(this.#folder, {
      HOST: this.#dns.address,
      PORT: String(this.#port),
      FAAS_AUTH: 'required',
      FAAS_TRUSTED_PROXIES: HERE,
      FAAS_REGISTRATIONS: '60',
    });
  }

  async stopBroker(): Promise<void> {
    await this.#broker?.stop();
    this.#broker = undefined;
  }

  async moveBroker(): Promise<void> {
    await this.stopBroker();
    this.#dns.address = ELSEWHERE;
    await this.startBroker();
  }

  async stop(): Promise<void> {
    await this.#nginx?.stop();
    await this.stopBroker();
    this.#dns.stop();
  }
}

withNginx('The gateway of hub-deployment, with nginx', function () {
  this.slow(5000);
  const folder = temporaryFolder();
  let gateway: LocalGateway;
  let service: Awaited<ReturnType<typeof guardedService>>;

  beforeEach(async () => {
    service = await guardedService();
    gateway = await LocalGateway.start(folder(), service.address);
  });

  afterEach(async () => {
    await gateway.stop();
    service.server.close();
  });

  const get = async (path: string, headers = {}): Promise<Response> =>
    await fetch(gateway.url + path, { headers });

  async function register(name: string, headers = {}): Promise<Response> {
    return await fetch(`${gateway.url}/register`, {
      method: 'POST',
      headers: { ...basic(name, 'secret'), ...headers },
    });
  }

  for (const { title, run } of GATEWAY_CHECKS) it(title, () => run(gateway));

  it('tells other services who asks, whatever the client says of itself', async () => {
    await register('Zoë');
    const credentials = basic('Zoë', 'secret');
    const variants = [
      'X-Faas-User',
      'X-FAAS-USER',
      'X_Faas_User',
      'x_faas-user',
      'X-Faas_User',
      'X_FAAS_USER',
    ];
    const spoofed = Object.fromEntries(variants.map((name) => [name, 'root']));
    expect(await (await get('/reports/1', { ...credentials, ...spoofed })).text()).to.equal('for users');
    expect(service.seen[0]?.headersDistinct['x-faas-user']).to.deep.equal(['Zo%C3%AB']);
    expect(JSON.stringify(service.seen[0]?.rawHeaders)).not.to.contain('root');
    expect((await get('/reports/1', spoofed)).status).to.equal(401);
    expect(service.seen).to.have.length(1);
  });

  it('passes calls and bundles, and the answers as they come', async () => {
    await register('ana');
    await gateway.broker.worker();
    const form = new FormData();
    form.set('lifecycle', 'warm');
    form.set(
      'module',
      new Blob([new Uint8Array(tarGz([{ name: 'test.py', content: 'print(1)' }]))]),
      'm.tar.gz',
    );
    const headers = basic('ana', 'secret');
    const deployed = await fetch(`${gateway.url}/registerFunction/pythonruntime/echo`, {
      method: 'POST',
      headers,
      body: form,
    });
    expect(deployed.status).to.equal(201);
    const ran = await fetch(`${gateway.url}/run/echo`, { method: 'POST', headers, body: 'to the byte' });
    expect([ran.status, await ran.text(), ran.headers.get('x-call-num')]).to.deep.equal([
      200,
      'to the byte',
      '1',
    ]);
  });

  it('lets the broker tell clients apart, which cannot pretend to be others', async () => {
    await register('ana');
    const from = async (localAddress: string, user: string, forwarded: string): Promise<IncomingMessage> => {
      const headers = { ...basic(user, 'wrong'), 'X-Forwarded-For': forwarded };
      const asked = request(`${gateway.url}/functions`, { localAddress, headers, agent: false }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      return answer;
    };
    for (let n = 0; n < 10; n++) {
      const guess = await from('127.0.0.2', `user-${n}`, `192.0.2.${n}`);
      guess.resume();
      expect(guess.statusCode).to.equal(401);
    }
    // All came from one address, whatever they said of it: the eleventh is held back, and hears it as 429.
    const held = await from('127.0.0.2', 'ben', '198.51.100.7');
    expect([held.statusCode, held.headers['retry-after']]).to.deep.equal([429, '6']);
    expect(await text(held)).to.contain('TOO_MANY_ATTEMPTS');
    const other = await from('127.0.0.3', 'cleo', '127.0.0.2');
    other.resume();
    expect(other.statusCode).to.equal(401);
  });

  it('limits those without credentials too', async () => {
    await gateway.restartNginx({ burst: 5 });
    const answers = await Promise.all(Array.from({ length: 60 }, () => get('/functions')));
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).to.deep.equal(new Set([401, 429]));
  });
});
