import { SETTINGS, type Reader } from '@panal/protocol';

const READERS: Record<Reader, string> = {
  broker: 'broker',
  worker: 'worker',
  both: 'broker, worker',
  up: '`panal up`',
  test: '`npm test`',
};

/** The README's table of settings, in Markdown as Prettier writes it. */
export function settingsTable(): string {
  const rows = Object.entries(SETTINGS).map(([name, { reader, shown, meaning }]) => [
    `\`${name}\``,
    READERS[reader],
    shown,
    meaning,
  ]);
  const table = [['variable', 'read by', 'default', 'meaning'], ['', '', '', ''], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map((row, index) => {
      const filler = index === 1 ? '-' : ' ';
      return `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width, filler)).join(' | ')} |`;
    })
    .join('\n');
}
