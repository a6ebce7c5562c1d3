import { PanalError } from '@panal/protocol';
import { expect } from 'chai';
import fc from 'fast-check';
import { keyOf, nameOf, numberOf, under, upTo } from '../../db/src/keys.js';

/** As LevelDB compares keys. */
const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Any text, and often the characters that could make trouble. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\0', '\u0001', '\u0002', '/', '!', '%', 'a'),
    fc.string({ unit: 'binary', maxLength: 1 }),
  ),
});
const number = fc.maxSafeNat();

describe('keys', () => {
  it('give back the name they end in', () => {
    fc.assert(
      fc.property(text, text, (owner, name) => {
        expect(nameOf(keyOf('function', owner, name))).to.equal(name);
      }),
    );
  });

  it('give back the number they end in', () => {
    fc.assert(
      fc.property(text, number, (owner, value) => {
        expect(numberOf(keyOf('call', owner, value))).to.equal(value);
      }),
    );
  });

  it('are different for different parts', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 3 }), fc.array(text, { maxLength: 3 }), (a, b) => {
        const same = a.length === b.length && a.every((part, index) => part === b[index]);
        expect(keyOf('function', ...a) === keyOf('function', ...b)).to.equal(same);
      }),
    );
  });

  it('have the order of their names by code point', () => {
    fc.assert(
      fc.property(text, text, text, (owner, a, b) => {
        const order = Math.sign(compare(keyOf('function', owner, a), keyOf('function', owner, b)));
        expect(order).to.equal(Math.sign(compare(a, b)));
      }),
    );
  });

  it('have the order of their numbers', () => {
    fc.assert(
      fc.property(text, number, number, (owner, a, b) => {
        const order = Math.sign(compare(keyOf('call', owner, a), keyOf('call', owner, b)));
        expect(order).to.equal(Math.sign(a - b));
      }),
    );
  });

  it('lie under the key of their first parts, and under no other', () => {
    fc.assert(
      fc.property(text, text, text, (owner, other, name) => {
        const { gte, lt } = under(keyOf('function', owner));
        const key = keyOf('function', other, name);
        expect(compare(key, gte) >= 0 && compare(key, lt) < 0).to.equal(owner === other);
      }),
    );
  });

  it('lie in a range up to a number when theirs is smaller', () => {
    fc.assert(
      fc.property(text, number, number, (owner, value, end) => {
        const { gte, lt } = upTo(keyOf('call', owner), end);
        const key = keyOf('call', owner, value);
        expect(compare(key, gte) >= 0 && compare(key, lt) < 0).to.equal(value < end);
      }),
    );
  });

  it('refuse half a surrogate pair, for two names would become one', () => {
    expect(() => keyOf('function', 'a\ud83d'))
      .to.throw(PanalError)
      .with.property('code', 'INVALID_NAME');
    expect(keyOf('function', '\ud83d\udc1d')).to.equal('function\0🐝');
  });

  it('refuse what is not a whole number', () => {
    for (const value of [-1, 1.5, NaN, Infinity, 2 ** 53])
      expect(() => keyOf('call', value)).to.throw(RangeError);
  });
});
