/** Loaded into a broker or worker with --expose-gc: says on request how large the heap is without garbage. */
process.on('message', (message) => {
  if (message !== 'collect') return;
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  process.send({ heapMiB: (heapUsed + arrayBuffers) / 2 ** 20 });
});
