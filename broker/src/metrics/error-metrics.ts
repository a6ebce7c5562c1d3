import { ERROR_STATUS, type ErrorCode } from '@panal/protocol';
import type { MetricSet } from '@panal/protocol/metrics';

const CODES = Object.keys(ERROR_STATUS) as ErrorCode[];

/** Counts the errors that requests were answered with. Their codes are a closed list. */
export class ErrorMetrics {
  readonly #byCode = new Map<ErrorCode, number>();

  answered(code: ErrorCode): void {
    this.#byCode.set(code, (this.#byCode.get(code) ?? 0) + 1);
  }

  addTo(metrics: MetricSet): void {
    metrics.counter('panal_http_errors_total', 'Errors that requests were answered with.', ['code'], () =>
      // All of them, for an alarm sees a number rise only where there was one.
      CODES.map((code) => [{ code }, this.#byCode.get(code) ?? 0] as const),
    );
  }
}
