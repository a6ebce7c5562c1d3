import { Counter, Gauge, Registry } from 'prom-client';
import type { Histogram } from './histogram.js';

export type Labels = Readonly<Record<string, string>>;

/** A value as it is now; by labels, where there are several. Asked for when somebody reads the metrics, not before. */
export type Read = () => number | Iterable<readonly [Labels, number]>;

interface Named {
  name: string;
  help: string;
}

/**
 * The metrics of a process, in the text format of Prometheus. They are read from plain numbers that the process keeps
 * anyway, so that nobody pays for them but whoever asks.
 */
export class MetricSet {
  readonly #registry = new Registry();
  readonly #histograms: (Named & { label: string; children: Readonly<Record<string, Histogram>> })[] = [];

  /** Media type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** A number that only grows. */
  counter(name: string, help: string, labelNames: readonly string[], read: Read): void {
    const counter = new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        for (const [labels, value] of samples(read)) counter.inc(labels, value);
      },
    });
  }

  gauge(name: string, help: string, labelNames: readonly string[], read: Read): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        for (const [labels, value] of samples(read)) gauge.set(labels, value);
      },
    });
  }

  /** One histogram for each value of `label`. */
  histogram(name: string, help: string, label: string, children: Readonly<Record<string, Histogram>>): void {
    this.#histograms.push({ name, help, label, children });
  }

  async text(): Promise<string> {
    const histograms = this.#histograms.map(({ name, help, label, children }) =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} histogram`,
        ...Object.entries(children).flatMap(([value, each]) => lines(name, `${label}="${value}"`, each)),
        '',
      ].join('\n'),
    );
    return [await this.#registry.metrics(), ...histograms].join('\n');
  }
}

function samples(read: Read): Iterable<readonly [Labels, number]> {
  const now = read();
  return typeof now === 'number' ? [[{}, now]] : now;
}

function lines(name: string, label: string, histogram: Histogram): string[] {
  const counts = histogram.cumulative();
  const count = counts.at(-1) ?? 0;
  const buckets = [...histogram.bounds, '+Inf'].map(
    (bound, at) => `${name}_bucket{${label},le="${bound}"} ${counts[at] ?? 0}`,
  );
  return [...buckets, `${name}_sum{${label}} ${histogram.sum}`, `${name}_count{${label}} ${count}`];
}
