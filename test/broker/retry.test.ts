import { expect } from 'chai';
import { afterAttempt } from '../../broker/src/calls/retry.js';

const policy = { attempts: 5, backoffMs: 5000 };
const platformFailure = { status: 'FAILED', platform: true } as const;
const functionFailure = { status: 'FAILED', platform: false } as const;

describe('afterAttempt', () => {
  it('settles what is done or cancelled', () => {
    expect(afterAttempt({ status: 'DONE', platform: false }, 1, policy, undefined)).to.deep.equal({
      settle: 'DONE',
    });
    const cancelled = { status: 'CANCELLED', platform: false } as const;
    expect(afterAttempt(cancelled, 1, policy, { attempts: 9, backoffMs: 1 })).to.deep.equal({
      settle: 'CANCELLED',
    });
  });

  it('tries again after 5 s, then after 10 s each, when the platform failed', () => {
    const waits = [1, 2, 3, 4].map((attempts) => afterAttempt(platformFailure, attempts, policy, undefined));
    expect(waits).to.deep.equal([5000, 10_000, 10_000, 10_000].map((retryInMs) => ({ retryInMs })));
  });

  it('gives up as DEAD after the last attempt of the platform', () => {
    expect(afterAttempt(platformFailure, 5, policy, undefined)).to.deep.equal({ settle: 'DEAD' });
  });

  it("takes the function's own failure and time-out as final", () => {
    expect(afterAttempt(functionFailure, 1, policy, undefined)).to.deep.equal({ settle: 'FAILED' });
    const timeout = { status: 'TIMEOUT', platform: false } as const;
    expect(afterAttempt(timeout, 1, policy, undefined)).to.deep.equal({ settle: 'TIMEOUT' });
  });

  it("tries the function's own failure again as its retry says, and gives up as DEAD", () => {
    const retry = { attempts: 3, backoffMs: 70 };
    expect(afterAttempt(functionFailure, 1, policy, retry)).to.deep.equal({ retryInMs: 70 });
    expect(afterAttempt(functionFailure, 2, policy, retry)).to.deep.equal({ retryInMs: 70 });
    expect(afterAttempt(functionFailure, 3, policy, retry)).to.deep.equal({ settle: 'DEAD' });
  });
});
