import { addProcessMetrics, MetricSet } from '@panal/protocol/metrics';
import { PROTOCOL_VERSION } from '@panal/transport';
import type { Calls } from '../calls/calls.js';
import type { Dispatcher } from '../scheduling/dispatcher.js';
import { CallMetrics } from './call-metrics.js';
import { ErrorMetrics } from './error-metrics.js';
import { StoreMetrics } from './store-metrics.js';

/** What `BrokerMetrics` reads when it is asked. */
export interface MetricSources {
  calls: Pick<Calls, 'unsettled' | 'waitingSince'>;
  dispatcher: Pick<Dispatcher, 'counts' | 'tally'>;
}

/** All metrics of a broker, and those who count for it. */
export class BrokerMetrics {
  readonly calls = new CallMetrics();
  readonly store = new StoreMetrics();
  readonly errors = new ErrorMetrics();
  readonly set = new MetricSet();

  /** Begins to look at the process too. Returns what ends that. */
  watch(sources: MetricSources): () => void {
    this.calls.addTo(this.set);
    addQueueMetrics(this.set, sources);
    addWorkerMetrics(this.set, sources);
    this.store.addTo(this.set);
    this.errors.addTo(this.set);
    return addProcessMetrics(this.set, PROTOCOL_VERSION);
  }
}

function addQueueMetrics(metrics: MetricSet, { calls, dispatcher }: MetricSources): void {
  metrics.gauge(
    'panal_calls_unsettled',
    'Calls that have not ended: they wait, run, or back off.',
    [],
    () => calls.unsettled,
  );
  metrics.gauge(
    'panal_queue_length',
    'Calls that wait for a mini-worker.',
    [],
    () => dispatcher.counts().waiting,
  );
  metrics.gauge('panal_queue_oldest_seconds', 'How long the oldest of these has waited.', [], () => {
    const since = calls.waitingSince();
    return since === undefined ? 0 : Math.max(0, Date.now() - since) / 1000;
  });
}

function addWorkerMetrics(metrics: MetricSet, { dispatcher }: MetricSources): void {
  const { tally } = dispatcher;
  metrics.gauge('panal_workers', 'Connected workers.', ['state'], () => {
    const { up, draining } = dispatcher.counts();
    return [
      [{ state: 'up' }, up],
      [{ state: 'draining' }, draining],
    ];
  });
  metrics.gauge('panal_mini_workers', 'Mini-workers of connected workers.', ['state'], () => {
    const { slots, busy } = dispatcher.counts();
    return [
      [{ state: 'idle' }, Math.max(0, slots - busy)],
      [{ state: 'busy' }, busy],
    ];
  });
  metrics.counter(
    'panal_worker_connects_total',
    'Workers that said hello: for the first time (new), or again after a broken connection (again).',
    ['kind'],
    () => [
      [{ kind: 'new' }, tally.connected],
      [{ kind: 'again' }, tally.reconnected],
    ],
  );
  metrics.counter(
    'panal_workers_gone_total',
    'Workers that said goodbye (left), or were given up (lost).',
    ['how'],
    () => [
      [{ how: 'left' }, tally.left],
      [{ how: 'lost' }, tally.gone - tally.left],
    ],
  );
  metrics.counter(
    'panal_workers_refused_total',
    'Hellos of workers that speak another version of the protocol.',
    [],
    () => tally.refused,
  );
}
