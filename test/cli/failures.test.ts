import { createServer } from 'node:http';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { expect } from 'chai';
import { main } from '../../cli/src/main.js';
import { temporaryFolder } from '../support/folder.js';
import { panal, type Ended } from './panal.js';

/** Nothing listens on the port of `tcpmux`. */
const NOBODY = 'http://127.0.0.1:1';

describe('panal says what is wrong and what to do', function () {
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
      'a setting that there is not, with the one that is meant',
      ['deploy', '.', '--name', 'f', '--runtime', 'r', '--set', 'memory=512'],
      /^panal: --set: there is no setting memory; did you mean memoryMb\? there are: lifecycle, timeoutMs, .*\n$/,
    ],
    [
      'parameters with an error in them, with its column',
      ['invoke', 'f', '{"a": 1, "b":}'],
      /^panal: not JSON: .* — column 14: unexpected "}"; .*\n$/,
    ],
    ['parameters that are cut', ['invoke', 'f', '{"a": [1, 2'], / — column 12: the text ends too early; /],
    [
      'parameters of several lines',
      ['invoke', 'f', '{"a": 1,\n"b" 2}'],
      / — line 2, column 5: unexpected "2"; /,
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

  it('where there is nothing to deploy, or a file stands for a folder', async () => {
    const options = ['--name', 'f', '--runtime', 'pythonruntime'];
    await mkdir(join(folder(), 'empty'));
    await writeFile(join(folder(), 'empty/panal.json'), '{}');
    expect(await complaint(['deploy', 'empty', ...options])).to.deep.equal([
      1,
      `panal: there is nothing to deploy in ${folder()}/empty — write a handler.py or handler.mjs there; ` +
        'panal init python NAME makes a folder with one\n',
    ]);
    const [, stderr] = await complaint(['deploy', 'empty/panal.json', ...options]);
    expect(stderr).to.match(/^panal: \S+ is a file — give the folder that it is in\n$/);
  });

  it('where panal.json has a field or a setting that there is not', async () => {
    for (const [json, message] of [
      [
        { setings: {} },
        'there is no field setings; did you mean settings? there are: name, runtime, settings',
      ],
      [{ memoryMb: 64 }, 'there is no field memoryMb; it belongs into settings'],
      [
        { settings: { timeout: 1 } },
        'settings: there is no setting timeout; did you mean timeoutMs? there are: ',
      ],
    ] as const) {
      await writeFile(join(folder(), 'panal.json'), JSON.stringify(json));
      expect((await complaint(['deploy', '.']))[1]).to.contain(message);
    }
  });

  it('where a backup is not there, and makes nothing of it', async () => {
    expect(await complaint(['restore', 'missing.tar', 'restored'])).to.deep.equal([
      1,
      'panal: there is no file missing.tar — panal backup FILE makes one\n',
    ]);
    expect(await readdir(folder())).to.not.include('restored');
    expect((await complaint(['restore', '.', 'restored']))[1]).to.contain('is no backup: it is a folder');
  });

  it('where keys are there already, and leaves them', async () => {
    expect((await run(['keys', 'keys'])).code).to.equal(0);
    const before = await readFile(join(folder(), 'keys/jwt_secret'), 'utf8');
    await rm(join(folder(), 'keys/curve_server_secret'));
    const [code, stderr] = await complaint(['keys', 'keys']);
    expect(code).to.equal(1);
    expect(stderr).to.match(/^panal: keys\/\w+ is there already, .* — give another folder, or .*\n$/);
    expect(await readFile(join(folder(), 'keys/jwt_secret'), 'utf8')).to.equal(before);
    expect(await readdir(join(folder(), 'keys'))).to.have.length(4);
  });

  it('in one line where nobody expected it, with its place only when that is asked for', async () => {
    const stdin = (): Readable =>
      new Readable({
        read() {
          this.destroy(new RangeError('unforeseen\nand more'));
        },
      });
    for (const [args, env, shown] of [
      [[], {}, /^panal: something went wrong inside: unforeseen — again with --debug it shows where\n$/],
      [['--debug'], {}, /^panal: .*\nRangeError: unforeseen\n.*\n +at /s],
      [[], { PANAL_DEBUG: '1' }, /\n +at /],
    ] as const) {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const code = await main(['invoke', 'f', '-', ...args], { env, stdin: stdin(), stdout, stderr });
      expect(code).to.equal(1);
      expect(String(stderr.read())).to.match(shown);
    }
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
