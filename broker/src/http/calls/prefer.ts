import { MAX_WAIT_SECONDS } from '@panal/api';

// RFC 7240 section 2, with the tokens and quoted strings of RFC 9110 section 5.6. Each part takes the space that
// follows it, so that there is one way only to match and a long header is refused as fast as it is read.
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/.source;
const WORD = `${TOKEN}|"(?:[^"\\\\]|\\\\.)*"`;
const SPACE = '[ \\t]*';
const PARAMETER = `;${SPACE}(?:${TOKEN}${SPACE}(?:=${SPACE}(?:${WORD})${SPACE})?)?`;
const PREFERENCE = `[ \\t,]*(${TOKEN})${SPACE}(?:=${SPACE}(${WORD})${SPACE})?(?:${PARAMETER})*(?=,|$)`;

/**
 * The `wait` preference of a `Prefer` header, in seconds: the first one counts; one that is no number of seconds, and
 * a header that is not of RFC 7240's form, say nothing.
 */
export function preferredWait(header: string): number | undefined {
  const preference = new RegExp(PREFERENCE, 'y');
  while (preference.lastIndex < header.length) {
    const [whole, name, value = ''] = preference.exec(header) ?? [];
    if (whole === undefined) return undefined;
    if (name?.toLowerCase() === 'wait') return seconds(unquote(value));
  }
  return undefined;
}

/** Reads a number of seconds, at most `MAX_WAIT_SECONDS`. */
function seconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Math.min(Number(text), MAX_WAIT_SECONDS) : undefined;
}

const unquote = (word: string): string =>
  word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word;
