import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compare } from 'bcryptjs';
import { expect } from 'chai';
import { ConfigError, readConfig } from '@panal/protocol';
import { brokerKeys, workerKeys } from '@panal/transport/zeromq';
import { makeKeys, makeRegistryLogin } from '../../broker/src/keys.js';
import { Credentials } from '../../worker/src/images/credentials.js';
import { temporaryFolder } from '../support/folder.js';

describe("a cluster's keys", () => {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder(), 'keys', name);
  const settings = (): Record<string, string> => ({
    FAAS_CURVE_SERVER_SECRET_FILE: at('curve_server_secret'),
    FAAS_CURVE_SERVER_PUBLIC_FILE: at('curve_server_public'),
    FAAS_CURVE_CLIENT_SECRET_FILE: at('curve_client_secret'),
    FAAS_CURVE_CLIENT_PUBLIC_FILE: at('curve_client_public'),
    FAAS_JWT_SECRET_FILE: at('jwt_secret'),
  });

  it('are made once, readable by their owner alone, and are what the settings want', async () => {
    const names = await makeKeys(join(folder(), 'keys'));
    expect(names).to.have.length(5);
    for (const name of names) expect((await stat(at(name))).mode & 0o777).to.equal(0o600);
    const config = readConfig(settings());
    expect(config.FAAS_JWT_SECRET).to.equal((await readFile(at('jwt_secret'), 'utf8')).trim());
    const [broker, worker] = [brokerKeys(config), workerKeys(config)];
    expect(broker?.publicKey).to.equal(worker?.curveServerKey);
    expect(broker?.clientKey).to.equal(worker?.curvePublicKey);
    const again = await makeKeys(join(folder(), 'keys')).catch((error: unknown) => error);
    expect(again).to.include({ code: 'EEXIST' });
    expect(readConfig(settings())).to.deep.equal(config);
  });

  it('are refused where they are given twice, or their file cannot be read, and are not told', async () => {
    await makeKeys(join(folder(), 'keys'));
    const secret = (await readFile(at('jwt_secret'), 'utf8')).trim();
    expect(() => readConfig({ ...settings(), FAAS_JWT_SECRET: secret }))
      .to.throw(ConfigError, 'FAAS_JWT_SECRET and FAAS_JWT_SECRET_FILE must not both be set')
      .with.property('message')
      .not.contain(secret);
    expect(() => readConfig({ FAAS_JWT_SECRET_FILE: at('none') })).to.throw(
      ConfigError,
      /^FAAS_JWT_SECRET_FILE .*ENOENT$/,
    );
    await writeFile(at('empty'), '\n');
    expect(() => readConfig({ FAAS_JWT_SECRET_FILE: at('empty') })).to.throw(
      ConfigError,
      'FAAS_JWT_SECRET_FILE names a file that is empty',
    );
    expect(() => readConfig({ FAAS_CURVE_SERVER_PUBLIC_FILE: at('jwt_secret') }))
      .to.throw(ConfigError, 'FAAS_CURVE_SERVER_PUBLIC must be a Z85 key')
      .with.property('message')
      .not.contain(secret);
    expect(() => readConfig({ FAAS_NO_SUCH_FILE: at('jwt_secret') })).to.throw(
      ConfigError,
      'FAAS_NO_SUCH_FILE is not a setting',
    );
    expect(readConfig({ FAAS_JWT_SECRET_FILE: '', FAAS_SLOTS: '3' })).to.include({ FAAS_SLOTS: 3 });
  });

  it('leave no channel open where only some of them are given', async () => {
    await makeKeys(join(folder(), 'keys'));
    for (const name of Object.keys(settings()).filter((each) => each.includes('CURVE'))) {
      const config = readConfig({ [name]: settings()[name] });
      if (name !== 'FAAS_CURVE_CLIENT_SECRET_FILE') {
        expect(() => brokerKeys(config), name).to.throw(ConfigError, 'must be set together');
      }
      if (name !== 'FAAS_CURVE_SERVER_SECRET_FILE') {
        expect(() => workerKeys(config), name).to.throw(ConfigError, 'must be set together');
      }
    }
  });

  it('come with a login for the registry, which the registry takes and the workers know', async () => {
    const registries = ['127.0.0.1:5000', 'registry.example.org:5000/team'];
    const names = await makeRegistryLogin(join(folder(), 'keys'), registries);
    for (const name of names) expect((await stat(at(name))).mode & 0o777).to.equal(0o600);
    const [user = '', hash = ''] = (await readFile(at('registry_htpasswd'), 'utf8')).trim().split(':');
    const credentials = new Credentials(at('registry_auth'));
    for (const image of ['127.0.0.1:5000/panal-function', 'registry.example.org:5000/team/panal-function']) {
      const { username, password = '' } = await credentials.for(image);
      expect(username).to.equal(user);
      expect(await compare(password, hash)).to.equal(true);
      expect(hash).not.to.contain(password);
    }
    const again = await makeRegistryLogin(join(folder(), 'keys'), registries).catch(
      (error: unknown) => error,
    );
    expect(again).to.include({ code: 'EEXIST' });
  });
});
