import { expect } from 'chai';
import type { DockerDriver } from '../../worker/src/sandbox/docker/driver.js';
import { withEngine } from '../support/groups.js';
import { call, Rig, runOnce, text, WAYS } from './rig.js';

const SHOWN = 'cat /etc/hosts';

for (const way of WAYS) {
  withEngine(`localhost in a container, by the way "${way}"`, () => {
    let rig: Rig;
    let driver: DockerDriver;
    before(async () => {
      rig = await Rig.make();
      ({ driver } = await rig.open(way));
    });
    after(async () => rig.remove());

    for (const network of ['none', 'bridge'] as const) {
      for (const lifecycle of ['fresh', 'warm'] as const) {
        it(`has an address in a ${lifecycle} sandbox with network ${network}`, async () => {
          const spec = await rig.shell(`ping -c 1 -w 5 localhost >&2; ${SHOWN}`, { settings: { network } });
          expect(text((await runOnce(driver, spec, call(), lifecycle)).result)).to.match(
            /^127\.0\.0\.1\s+localhost/m,
          );
        });
      }
    }

    it('has one for another user, and in an image without /etc', async () => {
      const image = await rig.build(
        'FROM busybox:latest AS busybox',
        'FROM scratch',
        'COPY --from=busybox /bin /bin',
        'USER 1234:1234',
        `CMD ${SHOWN}`,
      );
      expect(text((await runOnce(driver, rig.image(image))).result)).to.match(/^127\.0\.0\.1\s+localhost/m);
    });
  });
}

withEngine('localhost in a container of Python', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.make();
  });
  after(async () => rig.remove());

  it('resolves, also in a sandbox that was started ahead of its function', async () => {
    const driver = rig.driver('agent', rig.docker, { blanks: true });
    await driver.open();
    const files = [{ name: 'test.py', content: 'import socket\nprint(socket.gethostbyname("localhost"))\n' }];
    const spec = await rig.shell('python3 test.py', { runtime: { image: 'python:3.12-slim' }, files });
    expect(text((await runOnce(driver, spec)).result)).to.equal('127.0.0.1\n');
    const prepared = await driver.prepare(spec, new AbortController().signal);
    expect(prepared.blanks).to.be.a('string');
    const blank = await driver.preload(prepared, new AbortController().signal);
    const sandbox = await blank.bind(prepared);
    expect(text((await sandbox?.run(call()))?.result ?? Buffer.alloc(0))).to.equal('127.0.0.1\n');
    await blank.remove();
  });
});
