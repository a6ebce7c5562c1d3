import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { LevelStore } from '@panal/db';
import { numbersToLeaveOut } from '../../broker/src/backup/number-jump.js';
import { finishRestore, restore, RestoreFailure } from '../../broker/src/backup/restore.js';
import { CallNumbers } from '../../broker/src/calls/call-numbers.js';
import { tarGz } from '../../testkit/archives.js';
import { temporaryFolder } from '../support/folder.js';
import { LiveBroker } from '../support/live-broker.js';
import { eventually } from '../../testkit/wait.js';
import { Api, errorCode, startedApi } from './api.js';
import { basic, bearer, Person } from './person.js';

const TOKEN = 'the-operators-token-of-this-very-test';

const module = (text: string): Buffer => tarGz([{ name: 'test.py', content: text }]);

async function* pieces(archive: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < archive.byteLength; at += size) yield archive.subarray(at, at + size);
}

async function failure(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RestoreFailure)) throw new Error('expected a RestoreFailure', { cause: error });
  return error.message;
}

const invoke = async (client: Pick<Api, 'post'>, funcName: string): Promise<number> =>
  z.object({ callNum: z.number() }).parse((await client.post('/invokeFunction', { funcName })).json).callNum;

/** The number that the first call has after a backup was restored. */
async function firstNumberAfterRestore(copied: Buffer, target: string): Promise<number> {
  await restore(pieces(copied), target);
  const store = new LevelStore(join(target, 'store'), { durability: 'os' });
  await store.open();
  try {
    const numbers = new CallNumbers(store.calls);
    await numbers.open();
    await numbers.fill();
    return numbers.take();
  } finally {
    await store.close();
  }
}

describe('A backup', function () {
  this.slow(4000);
  const api = startedApi({ operatorToken: TOKEN });
  const folder = temporaryFolder();
  const backup = async (): Promise<Buffer> => {
    const reply = await api().send('GET', '/backup', undefined, bearer(TOKEN));
    expect([reply.status, reply.headers.get('content-type')]).to.deep.equal([200, 'application/x-tar']);
    return reply.bytes;
  };

  it('is handed to the operator alone', async () => {
    const ana = await Person.register(api(), 'ana');
    for (const headers of [{}, ana.credentials, bearer('x'.repeat(TOKEN.length)), bearer(`${TOKEN}x`)]) {
      const reply = await api().send('GET', '/backup', undefined, headers);
      expect([reply.status, errorCode(reply)]).to.deep.equal([401, 'UNAUTHORIZED']);
    }
    // Nor is the operator a user.
    expect((await api().send('GET', '/functions', undefined, bearer(TOKEN))).status).to.equal(401);
  });

  it('holds users, functions, code and calls, and a broker begins where it was made', async () => {
    const ana = await Person.register(api(), 'ana');
    expect((await ana.upload('dice', module('print(1)'))).status).to.equal(201);
    expect((await ana.upload('dice', module('print(2)'))).status).to.equal(201);
    await api().upload('shared', module('print(1)'));
    await ana.post('/invokeFunction', { funcName: 'dice', params: { roll: 'ñ' } });
    await api().end(await api().take(), 'done');
    await writeFile(join(api().folder, 'jwt-secret'), 'a secret\n');
    const copied = await backup();
    await ana.send('DELETE', '/users/me');

    const target = join(folder(), 'new');
    const restored = await restore(pieces(copied), target);
    expect(restored.bundles).to.equal(2);
    expect(await readFile(join(target, 'jwt-secret'), 'utf8')).to.equal('a secret\n');
    const second = new Api(target);
    await second.start();
    try {
      const again = new Person(second, 'ana', basic('ana', 'secret'));
      expect((await again.get('/functions')).json).to.deep.equal(['dice']);
      expect((await again.get('/functions/dice')).json).to.deep.include({ version: 2, versions: [1, 2] });
      expect((await again.get('/call/1')).json).to.deep.include({ result: 'done', params: { roll: 'ñ' } });
      expect(await second.storedBundles()).to.have.length(2);
      expect((await second.get('/functions')).json).to.deep.equal(['shared']);
      const next = await invoke(again, 'dice');
      expect(next, 'no number that was given out since the backup').to.be.greaterThan(2);
      expect((await again.get(`/call/${next}`)).json).to.include({ status: 'PENDING' });
    } finally {
      await second.stop();
    }
  });

  it('is of one moment, whatever happens while it is read', async () => {
    const ana = await Person.register(api(), 'ana');
    for (let n = 0; n < 5; n++) await ana.upload(`f${n}`, module(`print(${n})${'#'.repeat(n)}`));
    const stream = await api().services.backups.begin();
    await ana.send('DELETE', '/users/me');
    await api().upload('later', module('print("later")'));
    expect(await api().storedBundles()).to.have.length(1);
    const target = join(folder(), 'new');
    const { bundles } = await restore(stream as AsyncIterable<Buffer>, target);
    expect(bundles).to.equal(5);
    const second = new Api(target);
    await second.start();
    try {
      const again = new Person(second, 'ana', basic('ana', 'secret'));
      expect((await again.get('/functions')).json).to.deep.equal(['f0', 'f1', 'f2', 'f3', 'f4']);
      expect((await second.get('/functions')).json).to.deep.equal([]);
    } finally {
      await second.stop();
    }
    await eventually(
      'the links are gone',
      async () => (await readdir(join(api().folder, 'backups'))).length === 0,
    );
  });

  it('that its reader gives up leaves nothing behind', async () => {
    await api().upload('dice', module('print(1)'));
    const stream = await api().services.backups.begin();
    expect(await readdir(join(api().folder, 'backups'))).to.have.length(1);
    stream.destroy();
    await eventually(
      'the links are gone',
      async () => (await readdir(join(api().folder, 'backups'))).length === 0,
    );
  });

  it('is restored whole or not at all', async () => {
    await api().upload('dice', module('print(1)'));
    const copied = await backup();
    const target = join(folder(), 'new');
    // The last 1,024 bytes are the end of every tar archive, the 1,024 before them the member that says it was whole.
    for (const size of [0, 700, copied.byteLength - 2048, copied.byteLength - 1100]) {
      expect(await failure(restore(pieces(copied.subarray(0, size)), target))).to.contain('it was cut off');
    }
    const code = copied.indexOf('bundles/');
    const damaged = Buffer.from(copied);
    damaged[code + 520] = (damaged[code + 520] ?? 0) ^ 1;
    expect(await failure(restore(pieces(damaged), target))).to.match(/the bundle [0-9a-f]{64} is damaged/);
    expect(await failure(restore(pieces(Buffer.alloc(5000, 'x')), target))).to.contain('it is no backup');
    expect(await readdir(target)).to.deep.equal([]);
  });

  it('and a restore that were cut short leave nothing after the next start', async () => {
    for (const left of ['backups', 'restoring']) {
      await mkdir(join(api().folder, left, 'half'), { recursive: true });
    }
    await finishRestore(api().folder);
    await api().services.backups.open();
    expect(await readdir(api().folder)).to.have.members(['bundles', 'store', 'uploads']);
  });

  it('is restored with call numbers that nobody was given since it was made', async () => {
    await api().upload('dice', module('print(1)'));
    await invoke(api(), 'dice');
    const copied = await backup();
    const since = await invoke(api(), 'dice');
    const first = await firstNumberAfterRestore(copied, join(folder(), 'first'));
    expect(first).to.be.greaterThan(since);
    const second = await firstNumberAfterRestore(copied, join(folder(), 'second'));
    expect(second, 'a second restore of the same backup').to.be.at.least(first);
  });

  it('leaves out more numbers the longer ago it was made, and nothing of a clock that is wrong', () => {
    const made = new Date('2026-01-01T00:00:00Z');
    const after = (seconds: number): number =>
      numbersToLeaveOut(made, new Date(made.getTime() + 1000 * seconds));
    // Between two restores of one backup no broker gives out so many.
    expect(after(86_400 + 60) - after(86_400)).to.equal(60 * 100_000);
    expect(after(0)).to.equal(after(-60)).and.to.be.greaterThan(1_000_000);
    expect(() => after(-7200)).to.throw('set the clock');
    expect(Number.isSafeInteger(after(100 * 366 * 86_400))).to.equal(true);
  });

  it('is restored over nothing', async () => {
    const copied = await backup();
    const target = join(folder(), 'used');
    await mkdir(join(target, 'store'), { recursive: true });
    expect(await failure(restore(pieces(copied), target))).to.contain('has data of a broker already');
    expect(await readdir(target)).to.deep.equal(['store']);
  });

  it('is not restored among files of others', async () => {
    const copied = await backup();
    const target = join(folder(), 'theirs');
    await mkdir(target);
    await writeFile(join(target, 'letters.txt'), 'dear');
    expect(await failure(restore(pieces(copied), target))).to.contain('it holds "letters.txt"');
    expect(await readdir(target)).to.deep.equal(['letters.txt']);
  });

  for (const moved of [0, 1, 2, 3]) {
    it(`is finished by the next broker if its restore was cut short with ${moved} of 3 parts in place`, async () => {
      await api().registerImage('kept');
      const target = join(folder(), 'cut');
      await restore(pieces(await backup()), target);
      const draft = join(target, 'restoring');
      await mkdir(draft);
      await writeFile(join(draft, 'read'), '');
      const parts = ['bundles', 'jwt-secret', 'store'];
      // Its secret is only in a backup if the broker made one.
      for (const part of parts.slice(moved).filter((name) => existsSync(join(target, name))))
        await rename(join(target, part), join(draft, part));
      expect(await failure(restore(pieces(await backup()), target))).to.contain('which finishes it');
      const broker = await LiveBroker.start(target);
      try {
        expect(await (await fetch(`${broker.url}/functions/kept`)).json()).to.include({
          functionName: 'kept',
        });
      } finally {
        await broker.stop();
      }
      expect(await readdir(target)).to.not.include('restoring');
    });
  }

  it('that was not read to its end leaves a folder in which no broker starts without a word', async () => {
    const target = join(folder(), 'half');
    await mkdir(join(target, 'restoring', 'bundles'), { recursive: true });
    const refused: unknown = await LiveBroker.start(target).catch((error: unknown) => error);
    expect(String(refused)).to.contain('was cut short: restore the backup again');
    await restore(pieces(await backup()), target);
    await (await LiveBroker.start(target)).stop();
  });
});

describe('A broker without an operator', () => {
  const api = startedApi();

  it('hands out no backup', async () => {
    const reply = await api().send('GET', '/backup', undefined, bearer('undefined'));
    expect([reply.status, errorCode(reply)]).to.deep.equal([403, 'FORBIDDEN']);
    expect((await api().get('/backup')).status).to.equal(401);
  });
});
