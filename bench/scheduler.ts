import { Scheduler, type Placement } from '../broker/src/scheduling/scheduler.js';
import { runtimeSpec } from '../test/support/specs.js';

const WORKERS = 1000;
const SLOTS = 16;
const FUNCTIONS = 2000;
const REPEATS = 7;
const DECISIONS = 200_000;

/**
 * Microseconds of one scheduling decision with everything around it (enqueue, next, end, offer, holding) in a cluster
 * of 1,000 workers with 16 mini-workers each, nine in ten of them busy. One figure for each repeat.
 */
export function measureScheduler(): number[] {
  const scheduler = new Scheduler();
  const specs = Array.from({ length: FUNCTIONS }, (_, n) =>
    runtimeSpec(`f${n}`, { owner: `owner${n % 50}`, id: `id${n}` }),
  );
  for (let worker = 0; worker < WORKERS; worker++) {
    scheduler.addWorker(`w${worker}`, { slots: SLOTS, hasEngine: true });
    for (let slot = 0; slot < SLOTS; slot++) scheduler.offer(`w${worker}`, slot);
  }
  let callNum = 0;
  const running: Placement[] = [];
  const place = (): void => {
    const spec = specs[(callNum * 7919) % FUNCTIONS];
    if (spec === undefined) return;
    const params = new Uint8Array(0);
    scheduler.enqueue({
      callNum: ++callNum,
      attempt: 1,
      acceptedAt: 0,
      spec,
      maxConcurrency: Infinity,
      input: 'none',
      params,
    });
    const placement = scheduler.next();
    if (placement !== undefined) running.push(placement);
  };
  while (running.length < WORKERS * SLOTS * 0.9) place();
  return Array.from({ length: REPEATS }, () => {
    const start = performance.now();
    for (let each = 0; each < DECISIONS; each++) {
      const at = (each * 104_729) % running.length;
      const ended = running[at];
      const last = running.pop();
      if (ended === undefined || last === undefined) break;
      if (at < running.length) running[at] = last;
      scheduler.ended(ended.job, { workerId: ended.workerId, runMs: 100 });
      if (ended.slot !== undefined) scheduler.offer(ended.workerId, ended.slot);
      scheduler.setHolding(ended.workerId, ended.job.spec.id, 1);
      place();
    }
    return ((performance.now() - start) * 1000) / DECISIONS;
  });
}
