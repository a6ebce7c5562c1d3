import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { MetricSet } from './metric-set.js';

/** How often the event loop is looked at, in ms. */
const RESOLUTION_MS = 20;

const QUANTILES = [0.5, 0.99, 1];

/**
 * Adds what every process of Panal tells of itself.
 * @param protocolVersion of the worker protocol
 * @returns stops looking at the event loop
 */
export function addProcessMetrics(metrics: MetricSet, protocolVersion: number): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  metrics.gauge(
    'panal_event_loop_delay_seconds',
    'How late the event loop came to its work, since this was read last.',
    ['quantile'],
    () => {
      // What is measured is the time between two looks: of that, the resolution is no delay.
      const late = (ns: number): number => Math.max(0, ns / 1e9 - RESOLUTION_MS / 1000);
      const seen = delay.max > 0;
      const values = QUANTILES.map(
        (quantile) =>
          [{ quantile: String(quantile) }, seen ? late(delay.percentile(100 * quantile)) : 0] as const,
      );
      delay.reset();
      return values;
    },
  );
  metrics.counter(
    'panal_event_loop_active_seconds_total',
    'Time in which the event loop did not wait.',
    [],
    () => performance.eventLoopUtilization().active / 1000,
  );
  metrics.gauge(
    'panal_protocol_version',
    'Version of the worker protocol that this process speaks.',
    [],
    () => protocolVersion,
  );
  addStandardMetrics(metrics);
  return () => void delay.disable();
}

/** Those that every client library has under these names. */
function addStandardMetrics(metrics: MetricSet): void {
  const startedAt = (Date.now() - performance.now()) / 1000;
  metrics.gauge('process_start_time_seconds', 'Start of the process, in epoch seconds.', [], () => startedAt);
  metrics.counter('process_cpu_seconds_total', 'Processor time, of user and system.', [], () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  metrics.gauge('process_resident_memory_bytes', 'Memory that the process has.', [], () =>
    process.memoryUsage.rss(),
  );
  metrics.gauge(
    'nodejs_heap_size_used_bytes',
    'Memory of the JavaScript heap in use.',
    [],
    () => process.memoryUsage().heapUsed,
  );
}
