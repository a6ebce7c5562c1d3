import { addProcessMetrics, MetricSet } from '@panal/protocol/metrics';
import { PROTOCOL_VERSION } from '@panal/transport';
import type { Worker } from '../execution/worker.js';
import type { MeteredDriver } from './metered-driver.js';
import { OutcomeMetrics } from './outcome-metrics.js';

/** What `WorkerMetrics` reads when it is asked. */
export interface MetricSources {
  worker: Pick<Worker, 'census'>;
  driver: Pick<MeteredDriver, 'addTo'>;
}

/** All metrics of a worker, and those who count for it. */
export class WorkerMetrics {
  readonly outcomes = new OutcomeMetrics();
  readonly set = new MetricSet();

  /** Begins to look at the process too. Returns what ends that. */
  watch({ worker, driver }: MetricSources): () => void {
    const { set } = this;
    this.outcomes.addTo(set);
    set.gauge('panal_worker_mini_workers', 'Mini-workers of this worker by what they do.', ['state'], () => {
      const { idle, preparing, running } = worker.census();
      return [
        [{ state: 'idle' }, idle],
        [{ state: 'preparing' }, preparing],
        [{ state: 'running' }, running],
      ];
    });
    set.gauge(
      'panal_sandboxes_idle',
      'Sandboxes that stand idle, those of no function yet included.',
      [],
      () => worker.census().sandboxes,
    );
    driver.addTo(set);
    set.gauge(
      'panal_outcomes_unacknowledged',
      'Outcomes that their brokers have not stored yet.',
      [],
      () => worker.census().outbox,
    );
    set.gauge('panal_broker_connected', 'Whether the broker has taken this worker: 1 or 0.', [], () =>
      worker.census().joined ? 1 : 0,
    );
    set.counter(
      'panal_broker_reconnects_total',
      'Connections made again because a broker was silent for a lease, or the connection failed.',
      [],
      () => worker.census().reconnects,
    );
    return addProcessMetrics(set, PROTOCOL_VERSION);
  }
}
