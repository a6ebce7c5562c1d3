/** Bytes of the longest character of UTF-8. */
const LONGEST = 4;

const isInside = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** How many bytes of `text` are whole characters of UTF-8: less than all if it ends in the beginning of one. */
export function wholeCharacters(text: Uint8Array): number {
  const end = text.byteLength;
  for (let at = end - 1; at >= 0 && end - at < LONGEST; at--) {
    const byte = text[at] ?? 0;
    if (isInside(byte)) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return end - at < size ? at : end;
  }
  return end;
}

/** Where the first character of `text` begins: after what is left of one that was cut off. */
export function firstCharacter(text: Uint8Array): number {
  let at = 0;
  while (at < LONGEST - 1 && isInside(text[at] ?? 0)) at += 1;
  return at;
}
