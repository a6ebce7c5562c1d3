import { LIFECYCLES } from '@panal/protocol';
import type { Outcome } from '@panal/transport';
import { Histogram, type Labels, type MetricSet } from '@panal/protocol/metrics';

const STATUSES = ['DONE', 'FAILED', 'TIMEOUT', 'CANCELLED'] as const satisfies Outcome['status'][];
/** Of the sandbox that served the attempt; or it had none. */
const KINDS = [...LIFECYCLES, 'none'] as const;
const STARTS = ['preloaded', 'other'] as const;

/** Counts attempts in plain numbers. It is told of each, so it makes no objects. */
export class OutcomeMetrics {
  /** By status, lifecycle and start, in this order. */
  readonly #ended = new Float64Array(STATUSES.length * KINDS.length * STARTS.length);
  #platform = 0;
  readonly #phases = { prepare: new Histogram(), run: new Histogram() };

  ended({ status, start, preloaded, platform, prepareMs, runMs }: Outcome): void {
    const at = indexOf(STATUSES.indexOf(status), KINDS.indexOf(start ?? 'none'), preloaded ? 0 : 1);
    this.#ended[at] = (this.#ended[at] ?? 0) + 1;
    if (platform) this.#platform++;
    this.#phases.prepare.observe(prepareMs / 1000);
    this.#phases.run.observe(runMs / 1000);
  }

  addTo(metrics: MetricSet): void {
    metrics.counter(
      'panal_attempts_total',
      'Attempts of calls that ended here. lifecycle: none where the attempt never had a sandbox.',
      ['status', 'lifecycle', 'start'],
      () => this.#byLabels(),
    );
    metrics.counter(
      'panal_attempts_failed_by_platform_total',
      'Of these, those that failed by no fault of their function; they are tried again.',
      [],
      () => this.#platform,
    );
    metrics.histogram(
      'panal_attempt_phase_seconds',
      'How long attempts took until their function began (prepare), and in it (run).',
      'phase',
      this.#phases,
    );
  }

  *#byLabels(): Generator<[Labels, number]> {
    for (const [s, status] of STATUSES.entries()) {
      for (const [k, lifecycle] of KINDS.entries()) {
        for (const [p, start] of STARTS.entries()) {
          yield [{ status, lifecycle, start }, this.#ended[indexOf(s, k, p)] ?? 0];
        }
      }
    }
  }
}

const indexOf = (status: number, kind: number, start: number): number =>
  (status * KINDS.length + kind) * STARTS.length + start;
