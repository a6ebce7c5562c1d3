import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, readConfig } from '@panal/protocol';
import { expect } from 'chai';
import { jwtSecret } from '../../broker/src/users/jwt-secret.js';
import { temporaryFolder } from '../support/folder.js';

describe('The secret of tokens', () => {
  const folder = temporaryFolder();
  const file = (): string => join(folder(), 'jwt-secret');

  it('is made once, for its owner alone', async () => {
    const secret = await jwtSecret(folder(), undefined);
    expect(secret).to.match(/^[A-Za-z0-9_-]{43}$/);
    expect((await stat(file())).mode & 0o777).to.equal(0o600);
    expect(await jwtSecret(folder(), undefined)).to.equal(secret);
    expect((await readFile(file(), 'utf8')).trim()).to.equal(secret);
  });

  it('that is given is used, and not written', async () => {
    expect(await jwtSecret(folder(), 'given'.repeat(8))).to.equal('given'.repeat(8));
    expect(await stat(file()).catch(() => undefined)).to.equal(undefined);
  });

  it('is kept from others where its file was open to them', async () => {
    await writeFile(file(), 'x'.repeat(32));
    await chmod(file(), 0o644);
    await jwtSecret(folder(), undefined);
    expect((await stat(file())).mode & 0o777).to.equal(0o600);
  });

  it('is never a short one', async () => {
    await writeFile(file(), '\n');
    const error: unknown = await jwtSecret(folder(), undefined).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ConfigError).with.property('message').that.contains('jwt-secret');
    const tooShort = 'too-short-a-secret';
    expect(() => readConfig({ FAAS_JWT_SECRET: tooShort }))
      .to.throw(ConfigError, 'FAAS_JWT_SECRET must be at least 32 characters')
      .with.property('message')
      .that.does.not.contain(tooShort);
  });
});
