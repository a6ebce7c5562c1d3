/** More numbers than any broker gives out in a second, on average over its life. */
const PER_SECOND = 100_000;
/** For clocks that differ: as many as a broker gives out in hours. */
const MARGIN = 1_000_000_000;
/** By how much the clock may seem to have gone back since a backup was made, in ms. */
const CLOCKS_DIFFER_MS = 3600 * 1000;

/**
 * How many call numbers a restore leaves out behind those of the backup, so that none is given out again that was given
 * out after the backup was made. That depends on time, and not on the backup alone: a backup that is restored twice
 * leaves out, the second time, what was given out after the first.
 * @param createdAt when the backup was made, not later than the moment that it shows
 * @throws Error if the clock is wrong: then nothing is known of how much time went by
 */
export function numbersToLeaveOut(createdAt: Date, now: Date): number {
  const elapsedMs = now.getTime() - createdAt.getTime();
  if (elapsedMs < -CLOCKS_DIFFER_MS) {
    const times = `it was made at ${createdAt.toISOString()}, and here it is ${now.toISOString()}`;
    throw new Error(`${times}: set the clock`);
  }
  return MARGIN + Math.ceil(Math.max(0, elapsedMs) / 1000) * PER_SECOND;
}
