import type { CallRecord, CallTimings, VersionRecord } from '@panal/db';
import { CALL_STATUSES, isSettled, LIFECYCLES } from '@panal/protocol';
import { Histogram, type Labels, type MetricSet } from '@panal/protocol/metrics';
import type { CallObserver } from '../calls/call-observer.js';

const STATUSES = CALL_STATUSES.filter(isSettled);

/** What the sandbox was that served a call: started before the call was known, or not; or there was none. */
const STARTS = ['preloaded', 'other', 'none'] as const;

const PHASES = ['queued', 'prepare', 'run', 'total'] as const satisfies (keyof CallTimings)[];

/**
 * Counts calls in plain numbers, by labels of which there are few: never by function or owner. It is told of every
 * call, so it makes no objects.
 */
export class CallMetrics implements CallObserver {
  #accepted = 0;
  #retried = 0;
  #forgotten = 0;
  /** By status, lifecycle and start, in this order. */
  readonly #settled = new Float64Array(STATUSES.length * LIFECYCLES.length * STARTS.length);
  readonly #phases = {
    queued: new Histogram(),
    prepare: new Histogram(),
    run: new Histogram(),
    total: new Histogram(),
  };

  accepted(): void {
    this.#accepted++;
  }

  retried(): void {
    this.#retried++;
  }

  forgotten(): void {
    this.#forgotten++;
  }

  settled({ input, status, start, preloaded, timings }: CallRecord, { spec }: VersionRecord): void {
    const served = start === undefined ? 'none' : preloaded === true ? 'preloaded' : 'other';
    const at = indexOf(
      STATUSES.indexOf(status),
      LIFECYCLES.indexOf(spec.settings.lifecycle),
      STARTS.indexOf(served),
    );
    this.#settled[at] = (this.#settled[at] ?? 0) + 1;
    // A call that only prepares says nothing of how long calls of functions take.
    if (timings === undefined || input === 'prepare') return;
    for (const phase of PHASES) this.#phases[phase].observe(timings[phase] / 1000);
  }

  addTo(metrics: MetricSet): void {
    metrics.counter('panal_calls_accepted_total', 'Calls accepted.', [], () => this.#accepted);
    metrics.counter(
      'panal_calls_settled_total',
      'Calls that ended. start: preloaded where the sandbox was started before the call was known, ' +
        'none where the call never had one.',
      ['status', 'lifecycle', 'start'],
      () => this.#settledByLabels(),
    );
    metrics.counter(
      'panal_calls_retried_total',
      'Attempts that another one followed.',
      [],
      () => this.#retried,
    );
    metrics.counter(
      'panal_calls_forgotten_total',
      'Calls that could not be stored, or went with their owner.',
      [],
      () => this.#forgotten,
    );
    metrics.histogram(
      'panal_call_phase_seconds',
      'How long calls of functions took that ended: without a worker (queued), until their function began (prepare), ' +
        'in their function (run), from acceptance to end (total).',
      'phase',
      this.#phases,
    );
  }

  *#settledByLabels(): Generator<[Labels, number]> {
    for (const [s, status] of STATUSES.entries()) {
      for (const [l, lifecycle] of LIFECYCLES.entries()) {
        for (const [k, start] of STARTS.entries()) {
          yield [{ status, lifecycle, start }, this.#settled[indexOf(s, l, k)] ?? 0];
        }
      }
    }
  }
}

const indexOf = (status: number, lifecycle: number, start: number): number =>
  (status * LIFECYCLES.length + lifecycle) * STARTS.length + start;
