import { PanalError, readConfig, sayRefusal, StartRefusal, stopRequested } from '@panal/protocol';
import { pino } from 'pino';
import { startBroker } from './broker.js';

async function main(): Promise<number> {
  try {
    const config = readConfig(process.env);
    const log = pino({ name: 'broker', level: config.FAAS_LOG_LEVEL });
    const stop = stopRequested();
    const broker = await startBroker(config, log);
    // Under `panal up` the channel to the parent tells that it serves.
    const dispatch = config.ZMQ_BIND_ADDRESS.replace(/\d+$/, String(broker.dispatchPort));
    process.send?.({ listening: broker.url, dispatch, runtimes: broker.runtimes });
    log.info({ reason: await stop }, 'stopping');
    await broker.stop();
    return 0;
  } catch (error) {
    if (error instanceof StartRefusal) return await sayRefusal('broker', error);
    // What is expected needs no stack to be understood.
    console.error(error instanceof PanalError ? `broker: ${error.message}` : error);
    return 1;
  }
}

process.exit(await main());
