import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Ended } from './panal.js';
import { workbench } from './workbench.js';

const PASSWORD = 'a long enough password';

describe('panal login', function () {
  this.slow(10_000);
  const bench = workbench();

  /** Runs the command with a home of its own, as this user of the machine; `PANAL_URL` is not set. */
  async function as(home: string, args: string[], input?: string): Promise<Ended> {
    const env = { PANAL_URL: '', XDG_CONFIG_HOME: join(bench().folder, home) };
    return await bench()
      .start(args, { env, ...(input !== undefined && { input }) })
      .end();
  }

  async function logIn(home: string, email: string, ...more: string[]): Promise<Ended> {
    const args = ['login', bench().cluster.url, '--user', email, '--password-stdin', ...more];
    return await as(home, args, `${PASSWORD}\n`);
  }

  const file = (home: string): string => join(bench().folder, home, 'panal', 'config.json');

  it('keeps address and token in a file that only its owner may read', async () => {
    const { code, stdout } = await logIn('ana', 'ana@example.org', '--register');
    expect({ code, stdout }).to.deep.equal({
      code: 0,
      stdout: `logged in to ${bench().cluster.url} as ana@example.org\n`,
    });
    expect((await stat(file('ana'))).mode & 0o777).to.equal(0o600);
    expect((await stat(join(file('ana'), '..'))).mode & 0o777).to.equal(0o700);
    const text = await readFile(file('ana'), 'utf8');
    expect(JSON.parse(text)).to.include({ url: bench().cluster.url, user: 'ana@example.org' });
    expect(text).to.not.contain(PASSWORD);
  });

  it('says on whose behalf it asks', async () => {
    expect((await as('nobody', ['whoami', '--url', bench().cluster.url])).stdout).to.equal('public\n');
    await logIn('ben', 'ben@example.org', '--register');
    expect((await as('ben', ['whoami'])).stdout).to.equal('ben@example.org\n');
    expect(JSON.parse((await as('ben', ['whoami', '--json'])).stdout)).to.include({
      user: 'ben@example.org',
      url: bench().cluster.url,
    });
    expect((await as('ben', ['logout'])).code).to.equal(0);
    expect((await as('ben', ['whoami', '--url', bench().cluster.url])).stdout).to.equal('public\n');
  });

  it('refuses a wrong password, and a user that is not there', async () => {
    await logIn('eve', 'eve@example.org', '--register');
    const args = ['login', bench().cluster.url, '--user', 'eve@example.org', '--password', 'wrong password'];
    expect((await as('mallory', args)).code).to.equal(1);
    expect((await as('mallory', [...args, '--register'])).code).to.equal(1);
    expect((await logIn('mallory', 'mallory@example.org')).code).to.equal(1);
    expect((await as('mallory', ['whoami', '--url', bench().cluster.url])).stdout).to.equal('public\n');
  });

  it('takes Basic credentials and a token too, without a login', async () => {
    await logIn('dan', 'dan@example.org', '--register');
    const { token } = JSON.parse(await readFile(file('dan'), 'utf8')) as { token: string };
    const whoami = ['whoami', '--url', bench().cluster.url];
    const basic = await as('other', [...whoami, '--user', 'dan@example.org', '--password', PASSWORD]);
    expect(basic.stdout).to.equal('dan@example.org\n');
    const env = { PANAL_TOKEN: token, XDG_CONFIG_HOME: join(bench().folder, 'other') };
    expect((await bench().start(whoami, { env }).end()).stdout).to.equal('dan@example.org\n');
  });

  it('sends the token to no other cluster', async () => {
    await logIn('fay', 'fay@example.org', '--register');
    // The same cluster, but by another name.
    const other = bench().cluster.url.replace('127.0.0.1', 'localhost');
    expect((await as('fay', ['whoami', '--url', other])).stdout).to.equal('public\n');
  });

  it('asks for what is missing, where somebody can answer', async () => {
    const { code, stderr } = await as('gil', ['login', bench().cluster.url], '');
    expect({ code, stderr }).to.deep.equal({
      code: 2,
      stderr: 'panal: the user is missing — give it with --user\n',
    });
  });

  it('shows a user its own functions only', async () => {
    await logIn('hal', 'hal@example.org', '--register');
    await bench().deployObedient('not-of-hal');
    expect((await as('hal', ['functions'])).stdout).to.equal('');
    const { code, stderr } = await as('hal', ['invoke', 'not-of-hal']);
    expect(code).to.equal(1);
    expect(stderr).to.match(/^panal: .*not-of-hal.* — see which there are with: panal functions\n$/);
  });

  it('changes the password from stdin, and keeps the login', async () => {
    await logIn('ida', 'ida@example.org', '--register');
    const wrong = await as('ida', ['passwd', '--password-stdin'], 'wrong\nbetter password\n');
    expect({ code: wrong.code, stderr: wrong.stderr }).to.deep.include({ code: 1 });
    const short = await as('ida', ['passwd', '--password-stdin'], `${PASSWORD}\n`);
    expect(short.code).to.equal(2);
    const changed = await as('ida', ['passwd', '--password-stdin'], `${PASSWORD}\nbetter password\n`);
    expect(changed).to.deep.include({ code: 0, stdout: 'changed the password of ida@example.org\n' });
    expect((await as('ida', ['whoami'])).stdout).to.equal('ida@example.org\n');
    expect((await logIn('other', 'ida@example.org')).code).to.equal(1);
  });

  it('revokes every token, and asks for another login', async () => {
    await logIn('jan', 'jan@example.org', '--register');
    await logIn('jan-elsewhere', 'jan@example.org');
    expect((await as('jan', ['revoke-tokens'])).code).to.equal(0);
    expect((await as('jan-elsewhere', ['whoami'])).code).to.equal(1);
    expect((await logIn('jan', 'jan@example.org')).code).to.equal(0);
    expect((await as('jan', ['whoami'])).stdout).to.equal('jan@example.org\n');
  });
});
