import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelStore } from '@panal/db';
import { PanalError } from '@panal/protocol';
import { expect } from 'chai';
import { Level } from 'level';
import { temporaryFolder } from '../support/folder.js';
import { aCall, aUser } from './samples.js';

describe('The folder of a store', () => {
  const folder = temporaryFolder();
  const location = (): string => join(folder(), 'store');
  const at = (name: string): string => join(location(), name);
  const newStore = (): LevelStore => new LevelStore(location(), { durability: 'os' });

  /** A store with a call, closed. */
  async function makeStore({ marked = true } = {}): Promise<void> {
    const store = newStore();
    await store.open();
    await store.users.addUser(aUser('ada'));
    await store.calls.acceptCall(aCall(1));
    await store.close();
    if (!marked) await rm(at('PANAL-STORE'));
  }

  /** Every file with its bytes and its time of change. */
  async function content(): Promise<unknown[]> {
    const names = (await readdir(location())).sort();
    return await Promise.all(
      names.map(async (name) => [name, await readFile(at(name), 'hex'), (await stat(at(name))).mtimeMs]),
    );
  }

  async function refusalOf(): Promise<string> {
    const error: unknown = await newStore()
      .open()
      .catch((reason: unknown) => reason);
    if (!(error instanceof PanalError)) expect.fail('it was not refused');
    expect(error.code).to.equal('STORE_UNAVAILABLE');
    expect(error.message).to.include(location()).and.not.to.include('\n');
    return error.message;
  }

  async function expectUntouchedRefusal(why: string): Promise<void> {
    const before = await content();
    expect(await refusalOf())
      .to.include(why)
      .and.to.include('nothing in it was touched');
    expect(await content()).to.deep.equal(before);
    expect(await readdir(folder())).to.deep.equal(['store']);
  }

  async function expectTheCall(): Promise<void> {
    const store = newStore();
    await store.open();
    expect(await store.calls.getCall('ada', 1)).to.include({ funcName: 'dice' });
    await store.close();
  }

  it('has a marker with its format', async () => {
    await makeStore();
    expect(JSON.parse(await readFile(at('PANAL-STORE'), 'utf8'))).to.deep.equal({ format: 1, making: false });
    expect((await stat(location())).mode & 0o777).to.equal(0o700);
    await expectTheCall();
  });

  it('is refused and left as it is without CURRENT', async () => {
    await makeStore();
    await rm(at('CURRENT'));
    await expectUntouchedRefusal('CURRENT is missing');
  });

  it('is refused and left as it is without CURRENT and without a marker', async () => {
    await makeStore({ marked: false });
    await rm(at('CURRENT'));
    await expectUntouchedRefusal('neither PANAL-STORE nor CURRENT');
  });

  for (const marked of [true, false]) {
    const which = marked ? 'with a marker' : 'without one';

    it(`is refused and left as it is if CURRENT is empty (${which})`, async () => {
      await makeStore({ marked });
      await truncate(at('CURRENT'));
      await expectUntouchedRefusal('CURRENT names no manifest');
    });

    it(`is refused and left as it is if its manifest is missing (${which})`, async () => {
      await makeStore({ marked });
      for (const name of await readdir(location())) if (name.startsWith('MANIFEST')) await rm(at(name));
      await expectUntouchedRefusal('is missing');
    });
  }

  it('is refused and left as it is if a newer Panal made it, or its marker is damaged', async () => {
    await makeStore();
    await writeFile(at('PANAL-STORE'), '{"format":2,"more":true}');
    await expectUntouchedRefusal('format 2');
    await writeFile(at('PANAL-STORE'), '');
    await expectUntouchedRefusal('PANAL-STORE is damaged');
  });

  it('is refused and left as it is if it has files of another program', async () => {
    await mkdir(location());
    await writeFile(at('notes.txt'), 'mine');
    await expectUntouchedRefusal("not Panal's");
  });

  it('is refused and left as it is if it is the LevelDB folder of another program', async () => {
    const database = new Level<string, string>(location());
    await database.put('callers', 'mine');
    await database.close();
    await expectUntouchedRefusal('keys are those of another program');
  });

  it('is refused if it is a file', async () => {
    await writeFile(location(), 'mine');
    expect(await refusalOf()).to.include('it is a file');
    expect(await readFile(location(), 'utf8')).to.equal('mine');
  });

  it('is taken over from a Panal that wrote no marker', async () => {
    await makeStore({ marked: false });
    await expectTheCall();
    expect(JSON.parse(await readFile(at('PANAL-STORE'), 'utf8'))).to.include({ format: 1 });
    expect(await readdir(folder())).to.deep.equal(['store']);
  });

  it('is made anew if a crash came while it was made', async () => {
    await mkdir(location());
    await writeFile(at('PANAL-STORE'), '{"format":1,"making":true}\n');
    await writeFile(at('MANIFEST-000001'), 'half');
    const store = newStore();
    await store.open();
    await store.calls.acceptCall(aCall(1));
    await store.close();
    await expectTheCall();
  });

  it('is made anew if a crash came while its first marker was written', async () => {
    await mkdir(location());
    await writeFile(at('PANAL-STORE.new'), '');
    await makeStore();
    await expectTheCall();
  });

  it('may be empty, or the root of a disk', async () => {
    await mkdir(at('lost+found'), { recursive: true });
    await makeStore();
    await expectTheCall();
  });

  it('has no copies beside it that a crash left', async () => {
    await makeStore({ marked: false });
    await mkdir(join(folder(), 'store.look-abc123'));
    await mkdir(join(folder(), 'other.look-abc123'));
    const store = newStore();
    await store.open();
    await store.close();
    expect((await readdir(folder())).sort()).to.deep.equal(['other.look-abc123', 'store']);
  });
});
