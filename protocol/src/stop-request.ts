/**
 * Resolves with the reason when this process is asked to stop: by SIGINT or SIGTERM, or because its parent, where it
 * has a channel to one, is gone. Asked a second time by a signal, the process ends at once with exit code 1.
 */
export async function stopRequested(): Promise<string> {
  return await new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(1);
      asked = true;
      resolve(signal);
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
    process.on('disconnect', () => resolve('parent gone'));
  });
}
