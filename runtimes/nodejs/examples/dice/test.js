// Rolls dice: {"roll":"4d6"} on stdin gives four numbers from 1 to 6, as in [4,6,4,3].
import { readFileSync } from 'node:fs';
import randomInteger from 'random-int';

const MOST_DICE = 1000;

function roll(params) {
  const found = /^(\d{1,4})d(\d{1,9})$/.exec(params?.roll);
  const [dice, sides] = found ? found.slice(1).map(Number) : [0, 0];
  if (dice < 1 || dice > MOST_DICE || sides < 1) {
    throw new RangeError(`params must be like {"roll":"4d6"}, at most ${MOST_DICE} dice`);
  }
  return Array.from({ length: dice }, () => randomInteger(1, sides));
}

try {
  process.stdout.write(JSON.stringify(roll(JSON.parse(readFileSync(0, 'utf8')))));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
