import { styleText } from 'node:util';
import { fieldsOf } from './fields.js';

/** Shows one line of a process's output, without the newline at its end. */
export type LogView = (line: string) => string;

type Style = Parameters<typeof styleText>[0];

const NAME_STYLES: readonly Style[] = ['cyan', 'green', 'magenta', 'blue', 'yellow'];
const NAME_WIDTH = 9;
// pino's levels, https://github.com/pinojs/pino/blob/main/docs/api.md#logger-level
const LEVELS = new Map<unknown, { label: string; style: Style }>([
  [10, { label: 'trace', style: 'dim' }],
  [20, { label: 'debug', style: 'dim' }],
  [30, { label: 'info ', style: 'green' }],
  [40, { label: 'warn ', style: 'yellow' }],
  [50, { label: 'error', style: 'red' }],
  [60, { label: 'fatal', style: 'red' }],
]);
/** Fields of a pino line that are shown in another way, or tell a reader of one machine nothing. */
const HIDDEN = new Set(['level', 'time', 'pid', 'hostname', 'name', 'msg', 'err']);

/**
 * A view of the output of the process `name`: pino's JSON lines as `time name level message field=value…`, other
 * lines as they are behind the name. `index` chooses the colour of the name.
 */
export function logView(name: string, index: number, colours: boolean): LogView {
  // The caller knows where it writes to; `styleText` would look at stdout.
  const paint = (style: Style, text: string): string =>
    colours ? styleText(style, text, { validateStream: false }) : text;
  const nameStyle = NAME_STYLES[index % NAME_STYLES.length] ?? 'cyan';
  const title = paint(nameStyle, name.padEnd(NAME_WIDTH));
  return (line) => {
    const entry = logEntry(line);
    if (entry === undefined) return `${' '.repeat(12)} ${title} ${printable(line)}`;
    const { label, style } = LEVELS.get(entry.level) ?? { label: '     ', style: 'dim' };
    const parts = [paint('dim', clock(entry.time)), title, paint(style, label)];
    if (typeof entry.msg === 'string') parts.push(printable(entry.msg));
    for (const [key, value] of Object.entries(entry)) {
      if (!HIDDEN.has(key)) parts.push(paint('dim', `${printable(key)}=`) + shortly(value));
    }
    return parts.join(' ') + failure(entry.err);
  };
}

/** The fields of a line of pino's; `undefined` if it is none. */
export function logEntry(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return fieldsOf(JSON.parse(line));
  } catch {
    return undefined;
  }
}

/** Local time of day; a log of several days is for other tools. */
function clock(time: unknown): string {
  const date = new Date(typeof time === 'number' ? time : Number.NaN);
  if (Number.isNaN(date.valueOf())) return ' '.repeat(12);
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function shortly(value: unknown): string {
  return printable(typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value));
}

/** An error below its line: the stack where there is one. */
function failure(err: unknown): string {
  const { stack, message } = fieldsOf(err);
  const text = typeof stack === 'string' ? stack : message;
  if (typeof text !== 'string') return '';
  return text
    .split('\n')
    .map((line) => `\n    ${printable(line)}`)
    .join('');
}

/** Makes control characters harmless: what is logged may be a stranger's text, and a terminal obeys them. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
