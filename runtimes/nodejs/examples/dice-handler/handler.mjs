// Rolls dice: {"roll":"4d6"} gives four numbers from 1 to 6, as in [4,6,4,3].
import { randomInt } from 'node:crypto';

const MOST_DICE = 1000;

export default async function dice(params, context) {
  const found = /^(\d{1,4})d(\d{1,9})$/.exec(params?.roll);
  const [count, sides] = found ? found.slice(1).map(Number) : [0, 0];
  if (count < 1 || count > MOST_DICE || sides < 1) {
    throw new RangeError(`params must be like {"roll":"4d6"}, at most ${MOST_DICE} dice`);
  }
  console.log(`call ${context.callNum}: ${count} dice of ${sides} sides`);
  return Array.from({ length: count }, () => randomInt(1, sides + 1));
}
