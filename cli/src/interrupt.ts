const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * npm hands on the Ctrl-C that the terminal already sent to the whole foreground, so one key comes as two signals.
 * Within this many milliseconds they count as one.
 */
const SAME_KEY_MS = 500;

/**
 * Calls `first` when this process is asked to end, and `again` when it is asked once more.
 * @returns a function that gives the signals their usual meaning back
 */
export function onInterrupt(first: () => void, again: () => void): () => void {
  let askedAt: number | undefined;
  const ask = (): void => {
    if (askedAt === undefined) {
      askedAt = performance.now();
      first();
    } else if (performance.now() - askedAt > SAME_KEY_MS) {
      again();
    }
  };
  for (const signal of SIGNALS) process.on(signal, ask);
  return () => {
    for (const signal of SIGNALS) process.off(signal, ask);
  };
}
