import { expect } from 'chai';
import fc from 'fast-check';
import { readJson } from '@panal/protocol';
import { refusal } from '../support/errors.js';

/** JSON text of any form: with spaces anywhere, and characters escaped that need not be. */
const jsonText = fc
  .tuple(fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }), fc.nat(4), fc.boolean())
  .map(([value, indent, escaped]) => {
    const text = JSON.stringify(value, undefined, indent);
    return escaped ? text.replace(/[a-z]/g, (letter) => escapedLetter(letter, text)) : text;
  });

/** Letters of `true`, `null` and `1e5` stay; a text without these can have them all escaped. */
function escapedLetter(letter: string, text: string): string {
  return /true|false|null|\de|\\/.test(text)
    ? letter
    : `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

describe('a JSON document', () => {
  it('has the members that JSON.parse finds, each as it is written', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        // Such a key is refused, wherever it is and however it is written.
        fc.pre(!JSON.stringify(JSON.parse(text)).includes('"__proto__":'));
        const { value, members } = readJson(text);
        expect(
          Object.fromEntries([...members].map(([name, each]) => [name, JSON.parse(each) as unknown])),
        ).to.deep.equal(value);
        for (const each of members.values()) expect(text).to.contain(each);
      }),
    );
  });

  it('that is no object has no members', () => {
    for (const text of ['[{"a":1}, 2]', '"a:b,"', '1', ' null '])
      expect(readJson(text).members.size).to.equal(0);
  });

  it('is told from text that only looks like one', async () => {
    for (const text of [
      '',
      '{"a":1,}',
      "{'a':1}",
      '{"a":01}',
      '{"a":NaN}',
      '{"a":"\n"}',
      '{"a":1}}',
      '\ufeff{}',
    ]) {
      await refusal(
        'INVALID_REQUEST',
        Promise.resolve().then(() => readJson(text)),
      );
    }
  });

  it('is read however many brackets it opens', async () => {
    const open = '['.repeat(1_000_000);
    await refusal(
      'INVALID_REQUEST',
      Promise.resolve().then(() => readJson(open + open.replaceAll('[', ']'))),
    );
  });
});
