import type { Config } from '@panal/protocol';
import type { Logger } from 'pino';
import type { OutcomeMetrics } from './outcome-metrics.js';
import { serveMetrics } from './metrics-server.js';
import { WorkerMetrics, type MetricSources } from './worker-metrics.js';

/** The metrics of a worker whose settings say that it serves some; of any other one, nothing. */
export interface ServedMetrics {
  /** Who is to be told of attempts. */
  outcomes: OutcomeMetrics | undefined;
  /** Begins to read them from these. */
  watch(sources: MetricSources): void;
  close(): Promise<void>;
}

/** @throws ConfigError where `FAAS_METRICS_ADDRESS` cannot be listened at. */
export async function openMetrics(
  { FAAS_METRICS_ADDRESS: address }: Config,
  log: Logger,
): Promise<ServedMetrics> {
  if (address === undefined) {
    return { outcomes: undefined, watch: () => undefined, close: () => Promise.resolve() };
  }
  const metrics = new WorkerMetrics();
  const server = await serveMetrics(address, metrics.set);
  log.info({ url: server.url }, 'serving metrics');
  let unwatch: (() => void) | undefined;
  return {
    outcomes: metrics.outcomes,
    watch: (sources) => (unwatch = metrics.watch(sources)),
    close: async () => {
      unwatch?.();
      await server.close();
    },
  };
}
