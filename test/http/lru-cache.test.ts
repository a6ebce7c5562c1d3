import { expect } from 'chai';
import { LruCache } from '../../broker/src/functions/lru-cache.js';

describe('the cache of active versions', () => {
  it('keeps those that were used last', () => {
    const cache = new LruCache<{ n: number }>(2);
    cache.set('a', { n: 1 });
    cache.set('b', { n: 2 });
    cache.get('a');
    cache.set('c', { n: 3 });
    expect([cache.size, cache.get('a')?.n, cache.get('b'), cache.get('c')?.n]).to.deep.equal([
      2,
      1,
      undefined,
      3,
    ]);
  });

  it('holds one value for a key, and none after its removal', () => {
    const cache = new LruCache<{ n: number }>(2);
    cache.set('a', { n: 1 });
    cache.set('a', { n: 2 });
    expect([cache.size, cache.get('a')?.n]).to.deep.equal([1, 2]);
    cache.delete('a');
    expect([cache.size, cache.get('a')]).to.deep.equal([0, undefined]);
  });
});
