import { expect } from 'chai';
import fc from 'fast-check';
import { HistogramPolicy } from '../../worker/src/pool/histogram-policy.js';
import { IdleHistogram } from '../../worker/src/pool/idle-histogram.js';
import { CLEAR, DemandPolicy, NoPreload, type Plan } from '../../worker/src/pool/preload.js';

const MINUTE = 60_000;

describe('preload policy none', () => {
  it('starts nothing, and leaves what is idle', () => {
    const policy = new NoPreload();
    expect(policy.callArrived()).to.deep.equal({ ahead: 0, keep: true, until: Infinity });
  });
});

describe('preload policy by demand', () => {
  it('wants as many as ran at once of late, up to its limit', () => {
    const policy = new DemandPolicy(3);
    expect(policy.callArrived('f', 0).ahead).to.equal(1);
    expect(policy.callArrived('f', 1).ahead).to.equal(2);
    for (let call = 0; call < 5; call++) policy.callArrived('f', 2);
    expect(policy.callArrived('f', 3).ahead).to.equal(3);
  });

  it('wants fewer once the peak is over for two minutes', () => {
    const policy = new DemandPolicy(8);
    for (let call = 0; call < 4; call++) policy.callArrived('f', 0);
    for (let call = 0; call < 4; call++) policy.callEnded('f', 1);
    expect(policy.callArrived('f', 1.5 * MINUTE).ahead).to.equal(4);
    policy.callEnded('f', 1.5 * MINUTE);
    expect(policy.callArrived('f', 4 * MINUTE).ahead).to.equal(1);
  });

  it('lets go after the keep-alive', () => {
    const policy = new DemandPolicy(8, 10 * MINUTE);
    policy.callArrived('f', 0);
    expect(policy.callEnded('f', MINUTE)).to.deep.equal({ ahead: 1, keep: true, until: 11 * MINUTE });
    expect(policy.lapsed('f')).to.equal(CLEAR);
  });
});

describe('an idle-time histogram', () => {
  it('spans the times it was told, as closely as its bins are wide', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 255.9, noNaN: true }), (minutes) => {
        const histogram = new IdleHistogram();
        histogram.record(minutes * MINUTE);
        const { from, to } = histogram.span(0.05, 0.99);
        expect(from).to.be.at.most(minutes * MINUTE);
        expect(to).to.be.greaterThan(minutes * MINUTE);
        expect(to - from).to.be.at.most(Math.max(MINUTE, from / 8) + 1e-6);
      }),
    );
  });

  it('cuts off both tails', () => {
    const histogram = new IdleHistogram();
    histogram.record(0);
    for (let time = 0; time < 198; time++) histogram.record(5.5 * MINUTE);
    histogram.record(200 * MINUTE);
    expect(histogram.span(0.05, 0.99)).to.deep.equal({ from: 5 * MINUTE, to: 6 * MINUTE });
  });

  it('varies where times crowd, and not where they are spread evenly', () => {
    const [crowded, even] = [new IdleHistogram(), new IdleHistogram()];
    for (let minute = 0; minute < 256; minute++) {
      crowded.record(5 * MINUTE);
      even.record(minute * MINUTE);
    }
    expect(crowded.variation).to.be.closeTo(Math.sqrt(255), 0.01);
    expect(even.variation).to.be.closeTo(0, 0.01);
    expect(new IdleHistogram().variation).to.equal(0);
  });

  it('counts what is beyond its range apart', () => {
    const histogram = new IdleHistogram();
    histogram.record(MINUTE);
    histogram.record(5 * 60 * MINUTE);
    expect(histogram.outOfRange).to.equal(0.5);
  });

  it('forgets by halves when it is full', () => {
    const histogram = new IdleHistogram();
    for (let time = 0; time < 70_000; time++) histogram.record(3 * MINUTE);
    expect(histogram.samples).to.be.within(30_000, 65_535);
    expect(histogram.span(0.05, 0.99)).to.deep.equal({ from: 3 * MINUTE, to: 4 * MINUTE });
  });
});

describe('preload policy by idle-time histogram', () => {
  /** Calls of no length, so far apart; the plan after the last. */
  function after(policy: HistogramPolicy, gaps: number[]): { plan: Plan; now: number } {
    let now = 0;
    policy.callArrived('f', now);
    let plan = policy.callEnded('f', now);
    for (const gap of gaps) {
      now += gap;
      policy.callArrived('f', now);
      plan = policy.callEnded('f', now);
    }
    return { plan, now };
  }

  const hourly = Array.from({ length: 20 }, () => 60 * MINUTE);

  it('keeps for a fixed time what it knows too little of', () => {
    const { plan, now } = after(new HistogramPolicy({ most: 4 }), hourly.slice(0, 5));
    expect(plan).to.deep.equal({ ahead: 1, keep: true, until: now + 10 * MINUTE });
  });

  it('lets go after a call and preloads before the next, where calls come at a known time', () => {
    const policy = new HistogramPolicy({ most: 4 });
    const { plan, now } = after(policy, hourly);
    // 60 minutes lie in the bin from 60 to 64; a tenth is the margin.
    expect(plan).to.deep.equal({ ahead: 0, keep: false, until: now + 54 * MINUTE });
    const preload = policy.lapsed('f', plan.until);
    expect(preload).to.include({ ahead: 1, keep: true });
    expect(preload.until).to.be.closeTo(now + 64 * 1.1 * MINUTE, 1);
    expect(policy.lapsed('f', preload.until)).to.equal(CLEAR);
  });

  it('keeps without a break where calls come within a minute, as long as they do', () => {
    const { plan, now } = after(
      new HistogramPolicy({ most: 4 }),
      Array.from({ length: 30 }, () => 1000),
    );
    expect(plan).to.include({ ahead: 1, keep: true });
    expect(plan.until).to.be.closeTo(now + 1.1 * MINUTE, 1);
  });

  it('keeps for a fixed time where there is no pattern', () => {
    const spread = Array.from({ length: 256 }, (_, minute) => minute * MINUTE);
    const { plan, now } = after(new HistogramPolicy({ most: 4 }), spread);
    expect(plan.until).to.equal(now + 10 * MINUTE);
    const seldom = after(
      new HistogramPolicy({ most: 4 }),
      Array.from({ length: 20 }, () => 600 * MINUTE),
    );
    expect(seldom.plan.until).to.equal(seldom.now + 10 * MINUTE);
  });

  it('keeps while a call runs', () => {
    const policy = new HistogramPolicy({ most: 4 });
    const { now } = after(policy, hourly);
    policy.callArrived('f', now);
    policy.callArrived('f', now);
    expect(policy.callEnded('f', now)).to.include({ keep: true, until: Infinity });
  });

  it('remembers no more functions than it may', () => {
    const policy = new HistogramPolicy({ most: 4, functions: 2 });
    for (const id of ['a', 'b', 'c']) {
      policy.callArrived(id, 0);
      policy.callEnded(id, 0);
    }
    expect(policy.lapsed('a', 1)).to.equal(CLEAR);
    expect(policy.lapsed('c', 1)).to.include({ keep: true });
  });
});
