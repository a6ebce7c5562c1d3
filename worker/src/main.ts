import { readConfig, sayRefusal, StartRefusal, stopRequested, type Config } from '@panal/protocol';
import { pino, type Logger } from 'pino';
import { startWorker } from './start-worker.js';

async function main(): Promise<number> {
  let log: Logger | undefined;
  try {
    const config = readConfig(process.env);
    log = pino({ name: 'worker', level: config.FAAS_LOG_LEVEL });
    await run(config, log);
    log.info('worker stopped');
    return 0;
  } catch (error) {
    if (error instanceof StartRefusal) return await sayRefusal('worker', error);
    if (log === undefined) console.error(error);
    else log.fatal({ err: error }, error instanceof Error ? error.message : 'the worker failed');
    return 1;
  }
}

/** Resolves once the worker was asked to stop and has; rejects where it cannot start or go on. */
async function run(config: Config, log: Logger): Promise<void> {
  const stop = stopRequested();
  const worker = await startWorker(config, log, (joined) => {
    // Under `panal up` the parent learns in what functions run here.
    if (process.connected) process.send?.({ joined });
  });
  const leave = async (): Promise<void> => {
    log.info({ reason: await stop }, 'stopping');
    await worker.stop();
  };
  await Promise.race([leave(), worker.stopped]);
}

process.exit(await main());
