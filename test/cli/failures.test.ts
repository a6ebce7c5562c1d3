import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { temporaryFolder } from '../support/folder.js';
import { panal, type Ended } from './panal.js';

/** Nothing listens on the port of `tcpmux`. */
const NOBODY = 'http://127.0.0.1:1';

describe('panal says what is wrong and what to do', function () {
  this.timeout(30_000);
  this.slow(5000);
  const folder = temporaryFolder();

  async function run(args: string[], env: Record<string, string> = {}): Promise<Ended> {
    return await panal(args, { cwd: folder(), env: { PANAL_URL: NOBODY, ...env } });
  }

  /** Runs the command, which must put out nothing but its complaint. */
  async function complaint(
    args: string[],
    env: Record<string, string> = {},
  ): Promise<[number | null, string]> {
    const { code, stdout, stderr } = await run(args, env);
    expect(stdout).to.equal('');
    return [code, stderr];
  }

  it('where no cluster runs', async () => {
    expect(await complaint(['functions'])).to.deep.equal([
      1,
      `panal: cannot reach ${NOBODY} — is the cluster running? start it with: panal up\n`,
    ]);
  });

  it('to programs as JSON on stderr', async () => {
    const [code, stderr] = await complaint(['functions', '--json']);
    expect(code).to.equal(1);
    expect(JSON.parse(stderr)).to.deep.equal({
      error: {
        code: 'UNREACHABLE',
        message: `cannot reach ${NOBODY}`,
        hint: 'is the cluster running? start it with: panal up',
      },
    });
  });

  it('where something else answers', async () => {
    const server = createServer((_request, response) => response.end('<html>hello</html>'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      expect(await complaint(['functions', '--url', url])).to.deep.equal([
        1,
        `panal: ${url} answered what is not Panal's — is the address right? see --url\n`,
      ]);
    } finally {
      server.close();
    }
  });

  for (const [what, args, message] of [
    ['an unknown verb', ['fly'], /^panal: unknown command 'fly'/],
    ['no verb at all', [], /^Usage: panal /],
    ['a missing argument', ['invoke'], /^panal: missing required argument 'name'/],
    ['an unknown option', ['calls', '--fast'], /^panal: unknown option '--fast'/],
    ['a number that is none', ['call', 'x'], /^panal: .*'x' is invalid.*whole number/],
    ['an unknown status', ['calls', '--status', 'ASLEEP'], /^panal: .*Allowed choices are PENDING,/],
    ['parameters that are not JSON', ['invoke', 'f', 'hello'], /^panal: not JSON: hello — /],
    [
      'an address that is none',
      ['calls', '--url', 'localhost:3000'],
      /^panal: "localhost:3000" is no address/,
    ],
    [
      'a user without a password',
      ['calls', '--user', 'ana'],
      /^panal: give --user and --password together\n/,
    ],
    ['neither folder nor image', ['deploy'], /^panal: give a folder, or an image with --image\n/],
    [
      'a setting of a wrong type',
      ['deploy', '.', '--name', 'f', '--runtime', 'r', '--set', 'pids=x'],
      /^panal: --set: pids: /,
    ],
    [
      'a name that is none',
      ['deploy', '.', '--name', 'a b', '--runtime', 'r'],
      /^panal: "a b" is no name of a function/,
    ],
  ] as const) {
    it(`and ends with 2 for ${what}`, async () => {
      const [code, stderr] = await complaint([...args]);
      expect(code).to.equal(2);
      expect(stderr).to.match(message);
    });
  }

  it('where a folder is missing, or is not described', async () => {
    expect(await complaint(['deploy', 'nowhere', '--name', 'f', '--runtime', 'r'])).to.deep.equal([
      1,
      `panal: there is no folder ${folder()}/nowhere — panal init makes one\n`,
    ]);
    expect((await complaint(['deploy', '.']))[1]).to.equal(
      'panal: the function has no name — give it in panal.json, or with --name\n',
    );
  });

  it('shows the help of each verb with an example', async () => {
    const { stdout, code } = await run(['--help']);
    expect(code).to.equal(0);
    const verbs = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, verb]) => verb ?? '');
    expect(verbs).to.include.members(['up', 'login', 'deploy', 'invoke', 'dev', 'bench', 'completion']);
    const helps = await Promise.all(verbs.slice(0, 4).map((verb) => run([verb, '--help'])));
    for (const help of helps) {
      expect(help.code).to.equal(0);
      expect(help.stdout).to.match(/\nExample:\n {2}\$ .*panal /);
    }
  });
});
