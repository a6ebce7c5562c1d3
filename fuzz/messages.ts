import fc, { type Arbitrary } from 'fast-check';
import { changedBytes, changedJson, garbage } from './mutations.js';
import type { Shot } from './target.js';

const NOTHING = Buffer.alloc(0);

/** Heads that are seldom seen: deep, wide, large, none. */
const ODD_HEADS = [
  ...['', '[]', '{}', 'null', '[null]', '[[]]', '[{}]', '1', '"x"', '[{"type":null}]', '[{"type":"hello"}]'],
  ...['[{"type":"heartbeat","parts":[-1]}]', '[{"type":"heartbeat","parts":[9007199254740992]}]'],
  ...['[{"type":"heartbeat","parts":[0,0,0,0,0]}]', '[{"type":"heartbeat","parts":{}}]', '\uFEFF[]', '[]\0'],
  '['.repeat(100_000),
  `[${'{"type":"heartbeat"},'.repeat(1023)}{"type":"heartbeat"}]`,
  `[${'{"type":"heartbeat"},'.repeat(5000)}{"type":"heartbeat"}]`,
  `[{"type":"heartbeat","x":"${'x'.repeat(1024 * 1024)}"}]`,
].map((text) => Buffer.from(text));

/** Messages as a peer might send that means ill: those of `samples` as they are, changed, cut, or with other frames. */
export function hostileMessages(samples: readonly (readonly Buffer[])[]): Arbitrary<Shot> {
  const messages = distinct(samples);
  const heads = messages.map(([head = NOTHING]) => head);
  const bodies = messages.map(([, body = NOTHING]) => body);
  const anyBody = fc.oneof(fc.constantFrom(...bodies), garbage);
  const frame = fc.oneof(changedBytes(heads, 1), anyBody, fc.constant(NOTHING));
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<Shot>(...messages) },
    { weight: 8, arbitrary: changedMessage(messages) },
    { weight: 3, arbitrary: fc.tuple(changedBytes(heads), anyBody) },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...ODD_HEADS), anyBody) },
    { weight: 2, arbitrary: fc.array(frame, { minLength: 1, maxLength: 6 }) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 3000 }).map((parts) => Array<Buffer>(parts).fill(NOTHING)),
    },
    { weight: 1, arbitrary: fc.tuple(garbage, garbage) },
  );
}

/** The sizes of its parts go with the body still, unless they are what is changed. */
function changedMessage(messages: readonly (readonly Buffer[])[]): Arbitrary<Shot> {
  return fc
    .constantFrom(...messages)
    .chain(([head = NOTHING, body = NOTHING]) =>
      changedJson([head.toString()]).map((json) => [Buffer.from(json), body]),
    );
}

/** One of each that look alike but for numbers: there are hundreds of heartbeats. */
function distinct(samples: readonly (readonly Buffer[])[]): (readonly Buffer[])[] {
  const seen = new Map(samples.map((frames) => [frames[0]?.toString().replaceAll(/\d+/g, '') ?? '', frames]));
  return [...seen.values()];
}
