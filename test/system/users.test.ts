import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { panal, type Ended } from '../cli/panal.js';
import { NpmStart } from './npm-start.js';

const COMMAND = [process.execPath, fileURLToPath(new URL('../../cli/bin/panal.js', import.meta.url))];

const USERS = ['ana', 'ben', 'cleo'] as const;
const CALLS_EACH = 5;

/** Somebody with a home of their own, who uses the command as it is installed. */
class Person {
  readonly name: string;
  readonly #home: string;

  constructor(name: string, home: string) {
    this.name = name;
    this.#home = home;
  }

  async run(args: readonly string[], input = ''): Promise<Ended> {
    return await panal(args, { cwd: this.#home, input, command: COMMAND });
  }

  /** What the command puts out; it must succeed. */
  async does(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    if (code !== 0)
      throw new Error(`panal ${args.join(' ')} of ${this.name} ended with ${String(code)}: ${stderr}`);
    return stdout;
  }

  async logIn(url: string): Promise<void> {
    const args = ['login', url, '--user', `${this.name}@example.org`, '--password-stdin', '--register'];
    const { code, stderr } = await this.run(args, `the password of ${this.name}`);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
  }

  /** Makes and deploys the function `greet`, which answers in this person's name. */
  async deployGreeter(): Promise<void> {
    await this.does('init', 'nodejs', 'greet');
    const code = `export default ({ n }) => { console.log('for ${this.name}'); return '${this.name} ' + n; };\n`;
    await writeFile(join(this.#home, 'greet', 'handler.mjs'), code);
    expect(await this.does('deploy', 'greet')).to.equal('greet version 1\n');
  }
}

describe('Three users at once', function () {
  this.slow(60_000);
  let folder: string;
  let cluster: NpmStart;
  let people: Person[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'panal-users-'));
    cluster = await NpmStart.run(join(folder, 'data'), { FAAS_SANDBOX: 'process', FAAS_AUTH: 'required' });
    people = await Promise.all(
      USERS.map(async (name) => {
        await mkdir(join(folder, name));
        return new Person(name, join(folder, name));
      }),
    );
    await Promise.all(people.map((person) => person.logIn(cluster.url)));
  });

  after(async () => {
    await cluster.interrupt();
    await rm(folder, { recursive: true, force: true });
  });

  it('deploy functions of the same name, and each calls its own', async () => {
    await Promise.all(people.map((person) => person.deployGreeter()));
    await Promise.all(
      people.map(async (person) => {
        const results = await Promise.all(
          Array.from({ length: CALLS_EACH }, (_, n) =>
            person.run(['invoke', 'greet', JSON.stringify({ n })]),
          ),
        );
        for (const [n, { code, stdout, stderr }] of results.entries()) {
          expect({ code, stdout, stderr }).to.deep.equal({
            code: 0,
            stdout: `${person.name} ${n}`,
            stderr: `for ${person.name}\n`,
          });
        }
      }),
    );
  });

  it('see their own functions and calls only', async () => {
    const numbers = await Promise.all(
      people.map(async (person) => {
        expect(JSON.parse(await person.does('functions', '--json'))).to.deep.equal(['greet']);
        const calls = JSON.parse(await person.does('calls', '--json')) as {
          callNum: number;
          owner: string;
          kind?: string;
        }[];
        expect(new Set(calls.map(({ owner }) => owner))).to.have.property('size', 1);
        // One more prepared the function when it was deployed.
        return calls.filter(({ kind }) => kind !== 'prepare').map(({ callNum }) => callNum);
      }),
    );
    expect(numbers.map((own) => own.length)).to.deep.equal(USERS.map(() => CALLS_EACH));
    expect(new Set(numbers.flat())).to.have.property('size', USERS.length * CALLS_EACH);
    const [anas] = numbers;
    for (const verb of ['call', 'logs', 'cancel']) {
      const { code, stdout, stderr } = (await people[1]?.run([verb, String(anas?.[0])])) ?? {};
      expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' });
      expect(stderr).to.match(/^panal: there is no call /);
    }
  });

  it('change and remove their own functions only', async () => {
    const [ana, ben] = people;
    await ana?.does('rm', 'greet', '--yes');
    expect((await ana?.run(['invoke', 'greet', '{"n":1}']))?.code).to.equal(1);
    expect(await ben?.does('invoke', 'greet', '{"n":9}')).to.equal('ben 9');
  });

  it('are told to log in where they are not', async () => {
    await people[2]?.does('logout');
    const { code, stderr } = (await people[2]?.run(['functions', '--url', cluster.url])) ?? {};
    expect(code).to.equal(1);
    expect(stderr).to.match(/^panal: .* — log in with: panal login\n$/);
  });
});
