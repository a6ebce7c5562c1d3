import type { CommitObserver } from '@panal/db';
import { Histogram, type MetricSet } from '@panal/protocol/metrics';

/** Counts the commits of the store. */
export class StoreMetrics implements CommitObserver {
  #writes = 0;
  #failures = 0;
  readonly #commits = { fsync: new Histogram(), os: new Histogram() };

  committed(writes: number, ms: number, sync: boolean): void {
    this.#writes += writes;
    (sync ? this.#commits.fsync : this.#commits.os).observe(ms / 1000);
  }

  failed(): void {
    this.#failures++;
  }

  addTo(metrics: MetricSet): void {
    metrics.histogram(
      'panal_store_commit_seconds',
      'How long commits of the store took: to disk (fsync), or to the operating system (os).',
      'durability',
      this.#commits,
    );
    metrics.counter(
      'panal_store_writes_total',
      'Keys written or removed; several calls share a commit.',
      [],
      () => this.#writes,
    );
    metrics.counter(
      'panal_store_failures_total',
      'Commits that the store could not write.',
      [],
      () => this.#failures,
    );
  }
}
