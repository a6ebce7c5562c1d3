import { styleText } from 'node:util';
import { printable } from './log-view.js';
import type { Shell } from './shell.js';

type Style = Parameters<typeof styleText>[0];

const STATUS_STYLES: Readonly<Record<string, Style>> = {
  DONE: 'green',
  RUNNING: 'cyan',
  PENDING: 'dim',
  FAILED: 'red',
  TIMEOUT: 'red',
  DEAD: 'red',
  CANCELLED: 'yellow',
};

const NEWLINE = 0x0a;

/** What a command puts out: results on stdout, for people or as one JSON document; all else on stderr. */
export class Output {
  readonly #shell: Shell;
  /** Whether a program reads. */
  readonly json: boolean;

  constructor(shell: Shell, json: boolean) {
    this.#shell = shell;
    this.json = json;
    shell.stdout.on('error', (error: Error) => {
      // Nobody reads any more, as with `panal calls | head -1`: all that was wanted is said.
      if ('code' in error && error.code === 'EPIPE') process.exit();
      throw error;
    });
  }

  /** Whether people read stderr on a terminal, so that it may show progress. */
  get live(): boolean {
    return this.#shell.stderr.isTTY === true && !this.json;
  }

  /** Whether people read stdout. */
  get isTerminal(): boolean {
    return this.#shell.stdout.isTTY === true;
  }

  /** Shows `value` to a program, or what `text` makes of it to people. */
  show(value: unknown, text: () => string): void {
    this.showJson(() => JSON.stringify(value), text);
  }

  /** Shows JSON text as it is to a program, or what `text` makes of it to people. */
  showJson(json: () => string, text: () => string): void {
    this.#line(this.json ? json() : text());
  }

  /** Puts out a result, to the byte. */
  bytes(bytes: Uint8Array): void {
    if (bytes.byteLength > 0) this.#shell.stdout.write(bytes);
  }

  /** Puts out a result, to the byte; on a terminal it ends with a newline, so that the prompt has its own line. */
  result(bytes: Uint8Array): void {
    this.bytes(bytes);
    const isOpen = bytes.byteLength > 0 && bytes.at(-1) !== NEWLINE;
    if (isOpen && this.isTerminal) this.#shell.stdout.write('\n');
  }

  /** Says something beside the result. */
  note(text: string): void {
    this.#shell.stderr.write(`${text}\n`);
  }

  /** Passes on logs of a function as they are. */
  logs(text: string): void {
    this.#shell.stderr.write(text);
  }

  /** Rows below their titles, in columns. A title that starts with `>` has its column aligned to the right. */
  table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
    const right = titles.map((title) => title.startsWith('>'));
    const head = titles.map((title) => title.replace(/^>/, ''));
    const lines = [head, ...rows.map((row) => row.map(printable))];
    const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
    return lines
      .map((line, index) =>
        line
          .map((cell, column) => {
            const width = widths[column] ?? 0;
            const padded = right[column] === true ? cell.padStart(width) : cell.padEnd(width);
            return index === 0 ? this.paint('dim', padded) : this.status(cell, padded);
          })
          .join('  ')
          .trimEnd(),
      )
      .join('\n');
  }

  /** Names with what stands for them, one a line; those without a value are left out. */
  fields(fields: Readonly<Record<string, string | undefined>>): string {
    const shown = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined);
    const width = Math.max(0, ...shown.map(([name]) => name.length));
    return shown
      .map(([name, value]) => {
        const text = printable(value);
        return `${this.paint('dim', name.padEnd(width))}  ${this.status(text, text)}`;
      })
      .join('\n');
  }

  paint(style: Style, text: string): string {
    const colours = this.isTerminal && (this.#shell.env.NO_COLOR ?? '') === '';
    // The shell knows where it writes to; `styleText` would look at the process's own stdout.
    return colours ? styleText(style, text, { validateStream: false }) : text;
  }

  /** `shown` in the colour of the status `word`, if that is one. */
  status(word: string, shown: string): string {
    const style = Object.hasOwn(STATUS_STYLES, word) ? STATUS_STYLES[word] : undefined;
    return style === undefined ? shown : this.paint(style, shown);
  }

  #line(text: string): void {
    if (text !== '') this.#shell.stdout.write(`${text}\n`);
  }
}

/** A number of milliseconds for people: `0.42 ms`, `38 ms`, `1.5 s`, `2 min`. */
export function duration(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(2))} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

/** How long ago an RFC 3339 time was. */
export function ago(time: string, now = Date.now()): string {
  const ms = now - Date.parse(time);
  if (ms < 1000) return 'now';
  return ms < 172_800_000 ? `${duration(ms)} ago` : time.slice(0, 10);
}

/** A number of bytes for people. */
export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;
}
