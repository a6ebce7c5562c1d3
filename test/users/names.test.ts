import { expect } from 'chai';
import fc from 'fast-check';
import { asPassword, asUserName } from '../../broker/src/users/names.js';

describe("A user's name", () => {
  it('is the same however it was typed', () => {
    for (const [typed, name] of [
      ['ana@example.org', 'ana@example.org'],
      ['Zoe\u0308', 'Zo\u00eb'],
      ['\uff41\uff4e\uff41', 'ana'],
      ['\ufb01n', 'fin'],
      ['__proto__', '__proto__'],
      ['constructor', 'constructor'],
      ['🐝', '🐝'],
    ] as const) {
      expect(asUserName(typed)).to.equal(name);
    }
  });

  it('has 1 to 254 characters, counted after it was normalised', () => {
    expect(asUserName('')).to.equal(undefined);
    expect(asUserName('🐝'.repeat(254))).to.equal('🐝'.repeat(254));
    expect(asUserName('🐝'.repeat(255))).to.equal(undefined);
    expect(asUserName('e\u0301'.repeat(254))).to.equal('é'.repeat(254));
    // One character that becomes eighteen.
    expect(asUserName('\ufdfa'.repeat(15))).to.equal(undefined);
    expect(asUserName('x'.repeat(1_000_000))).to.equal(undefined);
  });

  it('has nothing that Basic cannot carry or nobody can see', () => {
    const forbidden = [':', '\uff1a', '\0', '\n', '\u0085', '\ud800', '\u200b', '\u202e', '\u2028', '\ufeff'];
    for (const each of forbidden) expect(asUserName(`an${each}a`), JSON.stringify(each)).to.equal(undefined);
  });

  it('does not look like another one for a space at its end', () => {
    for (const name of [' ana', 'ana ', 'ana\u00a0', '\u3000ana', ' ']) {
      expect(asUserName(name), JSON.stringify(name)).to.equal(undefined);
    }
    expect(asUserName('Ana María')).to.equal('Ana María');
  });

  it('stays as it is when it is normalised again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const name = asUserName(text);
        if (name !== undefined) expect(asUserName(name)).to.equal(name);
      }),
    );
  });
});

describe('A password', () => {
  it('is the same however it was typed', () => {
    expect(asPassword('Zoe\u0308 \u2460')).to.equal('Zo\u00eb 1');
  });

  it('has 1 to 1024 bytes', () => {
    expect(asPassword('')).to.equal(undefined);
    expect(asPassword('é'.repeat(512))).to.equal('é'.repeat(512));
    expect(asPassword('é'.repeat(513))).to.equal(undefined);
    expect(asPassword('x'.repeat(1_000_000))).to.equal(undefined);
  });

  it('may hold a colon, NUL and anything but half a character', () => {
    expect(asPassword('a:b\0')).to.equal('a:b\0');
    expect(asPassword('a\ud800')).to.equal(undefined);
  });
});
