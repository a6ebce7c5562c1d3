/**
 * Milliseconds of processor time that this process, with all its threads, spends on `work`: the least of some rounds,
 * since what else goes on in the process only adds to it. To compare with that of other work in the same run.
 */
export async function processorMs(work: () => unknown, rounds = 5): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}
