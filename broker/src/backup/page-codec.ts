import type { Page } from '@panal/db';

/** Bytes of the two lengths that stand before each entry. */
const HEAD = 8;

/** Writes a page as its entries end to end: length of the key, length of the value (32 bits each), key, value. */
export function encodePage(page: Page): Buffer {
  const pieces = page.flatMap(([key, value]) => {
    const name = Buffer.from(key);
    const head = Buffer.alloc(HEAD);
    head.writeUInt32BE(name.byteLength, 0);
    head.writeUInt32BE(value.byteLength, 4);
    return [head, name, value];
  });
  return Buffer.concat(pieces);
}

/** Reads what `encodePage` wrote. @throws Error where it is something else */
export function decodePage(bytes: Buffer): Page {
  const page: [string, Uint8Array][] = [];
  for (let at = 0; at < bytes.byteLength;) {
    if (at + HEAD > bytes.byteLength) throw new Error('a page of it is damaged');
    const keyEnd = at + HEAD + bytes.readUInt32BE(at);
    const end = keyEnd + bytes.readUInt32BE(at + 4);
    if (end > bytes.byteLength) throw new Error('a page of it is damaged');
    page.push([bytes.toString('utf8', at + HEAD, keyEnd), bytes.subarray(keyEnd, end)]);
    at = end;
  }
  return page;
}
