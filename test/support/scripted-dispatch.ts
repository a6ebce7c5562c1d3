import type { Capability, Support } from '@panal/protocol';
import type { Dispatch } from '../../broker/src/calls/attempts.js';
import type { Job } from '../../broker/src/scheduling/job.js';

/** Workers that are the test: keeps the jobs, for the test to say how they end. */
export class ScriptedDispatch implements Dispatch {
  readonly jobs: Job[] = [];
  readonly cancelled: Job[] = [];
  /** What calls were asked for their logs, and whether they still are. */
  readonly followed = new Map<Job, boolean>();
  engine: boolean | undefined = true;

  submit(job: Job): void {
    this.jobs.push(job);
  }

  withdraw(job: Job): boolean {
    const at = this.jobs.indexOf(job);
    if (at >= 0) this.jobs.splice(at, 1);
    return at >= 0;
  }

  cancel(job: Job): void {
    this.cancelled.push(job);
  }

  follow(job: Job, on: boolean): void {
    this.followed.set(job, on);
  }

  /** Whether all workers can prepare functions. */
  prepares = true;

  largestMb(): number | undefined {
    return undefined;
  }

  support(capability: Capability): Support {
    if (capability === 'prepare') return this.prepares ? 'all' : 'some';
    if (this.engine === undefined) return undefined;
    return this.engine ? 'all' : 'none';
  }
}
