/** `npm run soak`: calls for `--minutes N` (5), and looks at whether anything grew that should not. */
import { parseArgs } from 'node:util';
import { soak } from './soak.js';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' } } });
const seconds = 60 * Number(values.minutes);
if (!(seconds > 0)) throw new TypeError('--minutes wants a number above 0');
const { calls, functions, watched } = await soak({
  seconds,
  rounds: 20,
  say: (line) => console.error(`soak: ${line}`),
});
console.log(`${calls} calls, ${functions} versions registered and deleted\n`);
console.log('|  | after the first round | half-way | at the end | growth since half-way |');
console.log('| --- | --- | --- | --- | --- |');
const round = (value = NaN): string => String(Math.round(value * 10) / 10);
for (const { name, values: all, growth, flat } of watched) {
  const middle = all[Math.floor(all.length / 2)];
  console.log(
    `| ${name} | ${round(all[0])} | ${round(middle)} | ${round(all.at(-1))} | ${round(growth)}${flat ? '' : ' TOO MUCH'} |`,
  );
}
process.exitCode = watched.every(({ flat }) => flat) ? 0 : 1;
