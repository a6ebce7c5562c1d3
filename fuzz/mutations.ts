import fc, { type Arbitrary } from 'fast-check';

/** Pieces that parsers stumble over. */
const ODD_PIECES = [
  ...[
    '\0',
    '\r\n',
    '\n',
    '\r\n\r\n',
    ' ',
    '\t',
    '"',
    "'",
    '\\',
    '/',
    '../',
    '%00',
    '%zz',
    '%2e%2e%2f',
    ';',
    ',',
  ],
  ...[
    '{',
    '}',
    '[',
    ']',
    '{}',
    '[]',
    'null',
    '-1',
    '0',
    '1e999',
    '9007199254740993',
    '4294967296',
    '2147483648',
  ],
  ...['__proto__', 'constructor', '"__proto__":', '\uFEFF', '\u202e', '💥', '${jndi:x}', '$(id)', '`id`'],
].map((text) => Buffer.from(text));
const ODD_BYTES = [
  [0],
  [0xff],
  [0x7f],
  [0x80],
  [0xff, 0xff, 0xff, 0xff],
  [0, 0, 0, 0],
  [0xed, 0xa0, 0x80],
  [0xc0, 0x80],
];

/** Places are shares of the length, so that a change stands for itself whatever came before it. */
const place = fc.double({ min: 0, max: 1, noNaN: true });
const piece = fc.oneof(
  fc.constantFrom(...ODD_PIECES, ...ODD_BYTES.map((bytes) => Buffer.from(bytes))),
  fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.constantFrom('a', '0', '[', '\0', ' '), fc.constantFrom(64, 300, 5000))
    .map(([char, times]) => Buffer.from(char.repeat(times))),
);

const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set' as const), at: place, bytes: piece }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('insert' as const), at: place, bytes: piece }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: place, size: fc.nat(64) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end' as const), at: place }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('repeat' as const),
      at: place,
      size: fc.nat(200),
      times: fc.nat(40),
    }),
  },
);
type Change = typeof change extends Arbitrary<infer C> ? C : never;

function changed(bytes: Buffer, by: Change): Buffer {
  const at = Math.floor(by.at * bytes.byteLength);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (by.kind) {
    case 'set':
      return Buffer.concat([before, by.bytes, after.subarray(by.bytes.byteLength)]);
    case 'insert':
      return Buffer.concat([before, by.bytes, after]);
    case 'cut':
      return Buffer.concat([before, after.subarray(by.size)]);
    case 'end':
      return before;
    case 'repeat':
      return Buffer.concat([before, ...Array<Buffer>(by.times).fill(after.subarray(0, by.size)), after]);
  }
}

/** One of the samples with a few of its bytes changed, put in, left out or repeated. */
export function changedBytes(samples: readonly Uint8Array[], most = 5): Arbitrary<Buffer> {
  return fc
    .tuple(fc.constantFrom(...samples), fc.array(change, { maxLength: most, size: 'max' }))
    .map(([sample, changes]) => changes.reduce(changed, Buffer.from(sample)));
}

export const garbage: Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 400, size: 'max' })
  .map((bytes) => Buffer.from(bytes));

/** Names, numbers and structures that a field is seldom given. */
export const oddValue: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    '',
    0,
    -1,
    0.5,
    1e308,
    -1e308,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    2 ** 53 + 2,
    [],
    {},
  ),
  fc.constantFrom(
    '..',
    '../x',
    '/',
    'a/b',
    '.',
    '\0',
    'é',
    '\ud800',
    '💥',
    '__proto__',
    'constructor',
    'toString',
  ),
  fc.constantFrom<unknown>('x'.repeat(129), 'x'.repeat(70_000), Array(2000).fill('1'), Array(50).fill({})),
  fc
    .integer({ min: 1, max: 400 })
    .map((depth) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown),
  fc.string({ maxLength: 20, unit: 'binary' }),
  fc.jsonValue({ maxDepth: 2 }),
  fc.integer(),
);

/** `a`: one of the fields, counted through all depths, is another value, gone, or there under another name. */
const fieldChange = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('value' as const), at: fc.nat(200), value: oddValue }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('gone' as const), at: fc.nat(200) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('name' as const),
      at: fc.nat(200),
      name: fc.constantFrom('__proto__', 'x', '', 'type', 'constructor'),
    }),
  },
);
type FieldChange = typeof fieldChange extends Arbitrary<infer C> ? C : never;

/** One of the samples, which are JSON texts, with a few of its fields changed. */
export function changedJson(samples: readonly string[], most = 3): Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...samples), fc.array(fieldChange, { minLength: 1, maxLength: most }))
    .map(([sample, changes]) => {
      const holder = { root: JSON.parse(sample) as unknown };
      for (const each of changes) changeField(holder, each);
      return JSON.stringify(holder.root ?? null);
    });
}

function changeField(holder: object, by: FieldChange): void {
  const fields = [...fieldsOf(holder)];
  const field = fields[by.at % fields.length];
  if (field === undefined) return;
  const [parent, key] = field;
  // A copy: the value may be put in twice, and be changed there.
  if (by.kind === 'value') set(parent, key, structuredClone(by.value));
  else if (by.kind === 'gone') Reflect.deleteProperty(parent, key);
  else {
    set(parent, by.name, Reflect.get(parent, key));
    Reflect.deleteProperty(parent, key);
  }
}

/** As an own property, also where it is `__proto__`. */
function set(parent: object, key: string, value: unknown): void {
  Object.defineProperty(parent, key, { value, configurable: true, enumerable: true, writable: true });
}

function* fieldsOf(value: object): Generator<[parent: object, key: string]> {
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    yield [value, key];
    if (typeof inner === 'object' && inner !== null) yield* fieldsOf(inner);
  }
}
