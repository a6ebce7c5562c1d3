/** Where Node.js (`file:///ws/a.mjs:3`) and Python (`File "/ws/a.py", line 3`) say that an error is. */
const PLACES = [/^(?:file:\/\/)?(\/[^:\s]+):(\d+)$/gm, /^\s*File "([^"<]+)", line (\d+)/gm] as const;
/** Characters of the line that are passed on. */
const MOST = 300;

/**
 * Why a handler did not start, by what it wrote: the message of the error that ended it, and its file and line, to be
 * put behind what is known besides. Nothing if it wrote nothing that says so.
 */
export function lastWords(logs: Uint8Array): string {
  const text = Buffer.from(logs).toString();
  const message = text
    .split('\n')
    // Stacks and excerpts are indented; the last line of Node.js is its version.
    .filter((line) => /^\S/.test(line) && !/^Node\.js v\d/.test(line))
    .at(-1);
  if (message === undefined) return '';
  const [, file, line] = PLACES.flatMap((place) => [...text.matchAll(place)]).at(-1) ?? [];
  return `: ${message.trimEnd().slice(0, MOST)}${file === undefined ? '' : ` (${file}, line ${line ?? '?'})`}`;
}
