import { expect } from 'chai';
import { zip } from '../../testkit/archives.js';
import { liveBroker } from '../support/live-broker.js';
import { eventually } from '../../testkit/wait.js';

describe('the limits of users, over HTTP and ZeroMQ', () => {
  const broker = liveBroker({
    FAAS_USER_CONCURRENCY: '2',
    FAAS_USER_QUEUE: '4',
    FAAS_USER_FUNCTIONS: '1',
    FAAS_USER_BYTES: '400',
  });

  async function send(
    user: string,
    method: string,
    path: string,
    body?: object | FormData,
  ): Promise<Response> {
    const authorization = `Basic ${Buffer.from(`${user}:a fine password`).toString('base64')}`;
    const text = body === undefined || body instanceof FormData ? (body ?? null) : JSON.stringify(body);
    return await fetch(broker().url + path, { method, headers: { authorization }, body: text });
  }

  async function upload(user: string, name: string, bytes: number): Promise<Response> {
    const form = new FormData();
    const archive = zip([{ name: 'test.py', content: 'x'.repeat(bytes) }], { stored: true });
    form.set('module', new Blob([new Uint8Array(archive)]), 'module.zip');
    return await send(user, 'POST', `/registerFunction/pythonruntime/${name}`, form);
  }

  const codeOf = async (answer: Response): Promise<unknown> =>
    ((await answer.json()) as { error?: { code?: unknown } }).error?.code;

  beforeEach(async () => {
    for (const user of ['ada', 'eve']) expect((await send(user, 'POST', '/register')).status).to.equal(200);
  });

  it('refuse calls past the share of the queue, with a time to try again; others go on', async () => {
    const worker = await broker().scripted(4);
    for (const user of ['ada', 'eve']) expect((await upload(user, 'dice', 1)).status).to.equal(201);
    const invoke = (user: string) => send(user, 'POST', '/invokeFunction', { funcName: 'dice' });
    for (let call = 0; call < 4; call++) expect((await invoke('ada')).status).to.equal(202);
    const refused = await invoke('ada');
    expect([refused.status, await codeOf(refused)]).to.deep.equal([429, 'QUEUE_FULL']);
    expect(Number(refused.headers.get('retry-after'))).to.be.at.least(1);
    await eventually('two of the calls run', () => worker.invokes.length === 2);
    expect((await invoke('eve')).status).to.equal(202);
    const [first, , eves] = await eventually('the other user is served', () =>
      worker.invokes.length === 3 ? worker.invokes : undefined,
    );
    expect(eves?.callNum).to.equal(5);
    if (first !== undefined) await worker.reply(first, { free: first.slot });
    await eventually('the next one runs', () => worker.invokes.length === 4);
    expect((await invoke('ada')).status).to.equal(202);
  });

  it('refuse functions and bytes past what a user may store', async () => {
    expect((await upload('ada', 'dice', 1)).status).to.equal(201);
    const second = await upload('ada', 'other', 1);
    expect([second.status, await codeOf(second)]).to.deep.equal([429, 'QUOTA_EXCEEDED']);
    expect(Number(second.headers.get('retry-after'))).to.be.at.least(1);
    const large = await upload('ada', 'dice', 2000);
    expect([large.status, await codeOf(large)]).to.deep.equal([429, 'QUOTA_EXCEEDED']);
    expect((await upload('eve', 'other', 1)).status).to.equal(201);
    expect((await send('ada', 'DELETE', '/functions/dice')).status).to.equal(204);
    expect((await upload('ada', 'other', 1)).status).to.equal(201);
  });
});

describe('what several owners can do together', () => {
  const broker = liveBroker({
    FAAS_USER_CONCURRENCY: '2',
    FAAS_USER_QUEUE: '4',
    FAAS_MAX_QUEUE: '8',
  });
  /** Without a user: in the name of `public`. */
  async function send(
    user: string | undefined,
    path: string,
    body: string | FormData = '',
  ): Promise<Response> {
    const login = Buffer.from(`${user ?? ''}:a fine password`).toString('base64');
    const headers = user === undefined ? undefined : { authorization: `Basic ${login}` };
    return await fetch(broker().url + path, { method: 'POST', body, ...(headers && { headers }) });
  }
  const register = async (...users: string[]): Promise<void> => {
    for (const user of users) expect((await send(user, '/register')).status).to.equal(200);
  };
  async function deploy(...users: (string | undefined)[]): Promise<void> {
    for (const user of users) {
      const form = new FormData();
      const archive = zip([{ name: 'test.py', content: 'x' }], { stored: true });
      form.set('module', new Blob([new Uint8Array(archive)]), 'module.zip');
      expect((await send(user, '/registerFunction/pythonruntime/dice', form)).status).to.equal(201);
    }
  }
  const invoke = async (user?: string): Promise<Response> =>
    await send(user, '/invokeFunction', JSON.stringify({ funcName: 'dice' }));
  async function accepted(user: string | undefined, times: number): Promise<void> {
    for (let call = 0; call < times; call++) expect((await invoke(user)).status).to.equal(202);
  }

  it('leaves half of the queue to users, however many calls come without credentials', async () => {
    await register('ada');
    await deploy(undefined);
    await accepted(undefined, 4);
    const refused = await invoke();
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    expect([refused.status, error.code]).to.deep.equal([429, 'QUEUE_FULL']);
    expect(error.message).to.contain('half of FAAS_MAX_QUEUE');
    expect(refused.headers.get('retry-after')).to.match(/^[1-9]/);
    await deploy('ada');
    await accepted('ada', 4);
  });

  it('leaves nothing to users before there is one', async () => {
    await deploy(undefined);
    await accepted(undefined, 8);
    expect((await invoke()).status).to.equal(429);
  });

  it('gives the first user what comes free next, although `public` held everything', async () => {
    const worker = await broker().scripted(2);
    await deploy(undefined);
    await accepted(undefined, 4);
    const [first] = await eventually('`public` holds both', () =>
      worker.invokes.length === 2 ? worker.invokes : undefined,
    );
    await register('ada');
    await deploy('ada');
    await accepted('ada', 1);
    if (first !== undefined) await worker.reply(first, { free: first.slot });
    const next = await eventually('the next one begins', () => worker.invokes[2]);
    expect(next.callNum).to.equal(5);
  });

  it('gives a third owner what comes free next, although two hold everything and wait for more', async () => {
    const worker = await broker().scripted(3);
    await register('ada', 'eve', 'ben');
    await deploy('ada', 'eve', 'ben');
    await accepted('ada', 3);
    await eventually('one is left', () => worker.invokes.length === 2);
    await accepted('eve', 2);
    const [first] = await eventually('two owners hold all three', () =>
      worker.invokes.length === 3 ? worker.invokes : undefined,
    );
    await accepted('ben', 1);
    if (first !== undefined) await worker.reply(first, { free: first.slot });
    const next = await eventually('the next one begins', () => worker.invokes[3]);
    expect(next.callNum).to.equal(6);
  });
});
