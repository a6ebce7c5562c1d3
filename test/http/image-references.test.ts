import { canonicalName, isImageOf, parseImageReference } from '@panal/protocol';
import { expect } from 'chai';
import { errorCode, startedApi } from './api.js';

const HEX = 'ab'.repeat(32);

/** References, and the names under which engines list their images. */
const GOOD: Readonly<Record<string, string>> = {
  busybox: 'docker.io/library/busybox:latest',
  'busybox:1': 'docker.io/library/busybox:1',
  'index.docker.io/busybox': 'docker.io/library/busybox:latest',
  'docker.io/library/busybox': 'docker.io/library/busybox:latest',
  'example/reverse-string': 'docker.io/example/reverse-string:latest',
  'a/b_c/d__e/f.g/h---i:V1.2_3-x': 'docker.io/a/b_c/d__e/f.g/h---i:V1.2_3-x',
  'localhost/dice': 'localhost/dice:latest',
  'localhost:5000/dice:2': 'localhost:5000/dice:2',
  'Registry.Example:443/dice': 'Registry.Example:443/dice:latest',
  '10.0.0.1:5000/a/b': '10.0.0.1:5000/a/b:latest',
  [`dice@sha256:${HEX}`]: `docker.io/library/dice@sha256:${HEX}`,
  [`example/dice:2@sha256:${HEX}`]: `docker.io/example/dice@sha256:${HEX}`,
  abc: 'docker.io/library/abc:latest',
  [`dice:${'t'.repeat(128)}`]: `docker.io/library/dice:${'t'.repeat(128)}`,
};

/** What cannot be a reference, and a word of the reason. */
const BAD: Readonly<Record<string, string>> = {
  '': 'empty',
  ' busybox': 'spaces',
  'no image': 'spaces',
  'busybox\n': 'spaces',
  búsybox: 'ASCII',
  Busybox: 'upper-case',
  'Example/reverse': 'upper-case',
  'example/Reverse:1': 'upper-case',
  'localhost:5000/Dice': 'upper-case',
  'busybox:': 'empty tag',
  'localhost:5000/dice:': 'empty tag',
  'busybox:a:b': 'tag with characters',
  'busybox:-a': 'tag with characters',
  'busybox:a/b': 'host',
  [`busybox:${'t'.repeat(129)}`]: '128',
  ['a'.repeat(256)]: '255',
  [`localhost/${'a/'.repeat(130)}a`]: '255',
  'a//b': 'repository',
  '/a': 'repository',
  'a/': 'repository',
  'a..b': 'repository',
  'a/../b': 'repository',
  '-a': 'repository',
  a___b: 'repository',
  'localhost:5000/': 'no repository',
  'https://example.com/dice': 'host',
  '-x.example/dice': 'host',
  'x:123456/dice': 'host',
  'a?b': 'repository',
  'dice@': 'digest',
  'dice@latest': 'digest',
  'dice@sha256:abc': 'digest',
  [`dice@sha256:${HEX.toUpperCase()}`]: 'digest',
  [`dice@md5:${'ab'.repeat(16)}`]: 'digest',
  [`dice@sha256:${HEX}@sha256:${HEX}`]: 'one digest',
  [HEX]: 'not an id',
  [`sha256:${HEX}`]: 'not an id',
  'sha256:5607b8': 'not an id',
};

describe('the reference of an image', () => {
  const api = startedApi();

  it('means what it means to an engine', () => {
    for (const [reference, name] of Object.entries(GOOD)) {
      expect(canonicalName(parseImageReference(reference)), reference).to.equal(name);
    }
  });

  it('is bound to an id or a digest of the same name alone', () => {
    const digest = `sha256:${HEX}`;
    for (const bound of [digest, `dice@${digest}`, `docker.io/library/dice@${digest}`])
      expect(isImageOf('dice:1', bound), bound).to.equal(true);
    for (const bound of ['', 'dice:1', 'sha256:5607b8', `evil/dice@${digest}`, `evil.example/dice@${digest}`])
      expect(isImageOf('dice:1', bound), bound).to.equal(false);
  });

  it('is accepted for functions and runtimes if it can be one', async () => {
    for (const image of Object.keys(GOOD)) {
      expect((await api().registerImage('dice', { image })).status, image).to.equal(201);
    }
  });

  it('is refused with the reason if it cannot be one', async () => {
    for (const [image, reason] of Object.entries(BAD)) {
      const replies = [
        await api().registerImage('dice', { image }),
        await api().put('/functions/dice', { image }),
        await api().post('/registerRuntime', { name: 'dice', image, path: '/ws', run: 'cat' }),
      ];
      for (const reply of replies) {
        expect(reply.status, image).to.equal(400);
        expect(errorCode(reply), image).to.equal('INVALID_REQUEST');
        expect(JSON.stringify(reply.json), image).to.contain(reason);
      }
    }
  });
});
