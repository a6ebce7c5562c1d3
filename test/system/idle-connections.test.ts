import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Site, withDescriptors } from '../../fuzz/site.js';
import { temporaryFolder } from '../support/folder.js';
import { withDescriptorLimit } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';

const CLIENTS = fileURLToPath(new URL('../support/idle-clients.mjs', import.meta.url));
const DESCRIPTORS = 16_384;

withDescriptorLimit(DESCRIPTORS)('Idle connections', () => {
  const folder = temporaryFolder();
  let site: Site | undefined;
  let clients: ChildProcess | undefined;

  afterEach(async () => {
    clients?.kill('SIGKILL');
    await site?.close();
    site = undefined;
  });

  async function start(descriptors: number): Promise<Site> {
    site = await Site.open({ folder: folder(), descriptors });
    return site;
  }

  /** Seconds of processor time that the broker spends on 50 calls. */
  async function cost(broker: Site): Promise<number> {
    const spent = async (): Promise<number> => {
      const metrics = await (await fetch(`${broker.url}/metrics`)).text();
      return Number(/^process_cpu_seconds_total (\S+)$/m.exec(metrics)?.[1]);
    };
    const before = await spent();
    for (let calls = 0; calls < 50; calls++) await broker.canary();
    return (await spent()) - before;
  }

  /** Opens so many; resolves with how many the broker let be. */
  async function idle(port: number, count: number): Promise<number> {
    const command = [process.execPath, CLIENTS, String(port), String(count)];
    const [program = '', ...args] = withDescriptors(DESCRIPTORS).concat(command);
    clients = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (clients.stdout === null) throw new Error('unreachable');
    const [line] = (await once(createInterface(clients.stdout), 'line')) as [string];
    return Number(line.replace('open: ', ''));
  }

  it('of 10,000 clients cost little memory, and calls are answered as before', async () => {
    const broker = await start(DESCRIPTORS);
    await cost(broker);
    const without = await cost(broker);
    const before = await broker.vitals();
    expect(await idle(broker.port, 10_000)).to.equal(10_000);
    const during = await broker.vitals();
    expect(during.handles).to.be.at.least(10_000);
    expect(during.rssMiB - before.rssMiB).to.be.below(200);
    expect((await cost(broker)) / without).to.be.below(3);
    clients?.stdin?.end();
    await eventually('they are gone', async () => (await broker.vitals()).handles < before.handles + 20);
    await broker.canary();
  });

  it('of more clients than there are descriptors leave the store its own', async () => {
    const broker = await start(1000);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = async (): Promise<string> => {
      const options = { method: 'POST', agent, headers: broker.authorization };
      const asking = request(`${broker.url}/run/canary`, options).end('"tweet"');
      const [answer] = (await once(asking, 'response')) as [NodeJS.ReadableStream];
      return await text(answer);
    };
    expect(await call()).to.equal('tweet');
    const open = await idle(broker.port, 1000);
    expect(open).to.be.within(300, 500);
    expect(await call()).to.equal('tweet');
    clients?.stdin?.end();
    await eventually('they are gone', async () => (await broker.vitals()).handles < 50);
    await broker.canary();
    agent.destroy();
  });
});
