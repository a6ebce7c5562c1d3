import { PanalError, readConfig, sayRefusal, StartRefusal, stopRequested } from '@panal/protocol';
import { pino } from 'pino';
import { startBroker } from './broker.js';

async function main(): Promise<number> {
  const stopping = new AbortController();
  try {
    const config = readConfig(process.env);
    const log = pino({ name: 'broker', level: config.FAAS_LOG_LEVEL });
    const stop = stopRequested();
    void stop.then(() => stopping.abort());
    const broker = await startBroker(config, log, stopping.signal);
    // Under `panal up` the channel to the parent tells that it serves.
    const dispatch = config.ZMQ_BIND_ADDRESS.replace(/\d+$/, String(broker.dispatchPort));
    process.send?.({ listening: broker.url, dispatch, runtimes: broker.runtimes });
    log.info({ reason: await stop }, 'stopping');
    await broker.stop();
    return 0;
  } catch (error) {
    if (error instanceof StartRefusal) return await sayRefusal('broker', error);
    if (stopping.signal.aborted) return 0;
    // What is expected needs no stack to be understood.
    console.error(error instanceof PanalError ? `broker: ${error.message}` : error);
    return 1;
  }
}

process.exit(await main());
