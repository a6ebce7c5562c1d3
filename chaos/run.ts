import { Audit, type Findings } from './audit.js';
import type { Cluster } from './cluster.js';
import type { Fault } from './faults/fault.js';
import { PROCESS_FAULTS } from './faults/processes.js';
import { SANDBOX_FAULTS } from './faults/sandboxes.js';
import { DAMAGE_FAULTS } from './faults/store-damage.js';
import { SURROUNDING_FAULTS } from './faults/surroundings.js';
import { Ledger } from './ledger.js';
import { Load } from './load.js';
import { Random } from './random.js';
import type { Figures, KindFigures } from './report.js';
import { Site, type SiteOptions } from './site.js';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../testkit/wait.js';
import type { Witness } from './witness.js';

const ALL_FAULTS = [...PROCESS_FAULTS, ...SANDBOX_FAULTS, ...SURROUNDING_FAULTS, ...DAMAGE_FAULTS];

/** How long calls go on undisturbed around each fault, in ms. */
const CALM_MS = 300;
/** After so many faults everything is looked at once more. */
const FULL_AUDIT_EVERY = 25;
const CLIENTS = 6;

export interface ChaosOptions extends SiteOptions {
  seed: number;
  faults: number;
  /** Only these kinds; all that are possible by default. */
  kinds?: readonly string[];
  say: (line: string) => void;
  /** Ends the run before its time; everything is tidied up. */
  signal?: AbortSignal;
}

/** One run: a cluster under load, one fault after the other, and after each a look at what became of every call. */
export async function chaos(options: ChaosOptions): Promise<Figures> {
  const site = await Site.open(options);
  let keepLogs = true;
  try {
    const figures = await new Run(options, site).go();
    keepLogs = isBroken(figures.audit.findings);
    return figures;
  } finally {
    await site.close({ keepLogs });
    if (keepLogs) options.say(`the logs are in ${site.folder}`);
  }
}

/** Whether any promise was broken. */
export function isBroken({ lost, settledTwice, doubled, other }: Findings): boolean {
  return [lost, settledTwice, doubled, other].some((findings) => findings.length > 0);
}

class Run {
  readonly #options: ChaosOptions;
  readonly #cluster: Cluster;
  readonly #witness: Witness;
  readonly #random: Random;
  readonly #ledger = new Ledger();
  readonly #kinds = new Map<string, KindFigures>();

  constructor(options: ChaosOptions, { cluster, witness }: Site) {
    this.#options = options;
    this.#cluster = cluster;
    this.#witness = witness;
    this.#random = new Random(options.seed);
  }

  async go(): Promise<Figures> {
    const { seed, driver, faults: wanted, say } = this.#options;
    const { url } = this.#cluster;
    const begun = performance.now();
    const audit = new Audit(url, this.#ledger);
    const load = new Load({ url, ledger: this.#ledger, random: new Random(seed + 1), clients: CLIENTS });
    const possible = this.#possible();
    let order: Fault[] = [];
    for (let made = 1; made <= wanted; made++) {
      this.#options.signal?.throwIfAborted();
      if (order.length === 0) order = this.#random.shuffled(possible);
      const fault = order.pop();
      if (fault === undefined) break;
      load.start();
      await eventually('the first results come', this.#serves(), 120_000);
      await pause(CALM_MS);
      const done = await this.#make(fault);
      await load.stop();
      await audit.settled();
      await audit.check({
        all: made % FULL_AUDIT_EVERY === 0 || made === wanted,
        mayFail: fault.endsBodies === true,
      });
      await this.#checkSandboxes(audit);
      say(`${made}/${wanted} ${fault.kind}, ${done}`);
      if (isBroken(audit.findings)) break;
    }
    const seconds = (performance.now() - begun) / 1000;
    return { seed, driver, seconds, kinds: this.#kinds, audit, ledger: this.#ledger };
  }

  /** Makes the fault, and waits until everything serves as before. */
  async #make(fault: Fault): Promise<string> {
    await this.#witness.extraRuns();
    this.#ledger.watchGaps();
    const at = performance.now();
    const what = await fault.make(this.#cluster, this.#random);
    if (fault.losesPower === true) this.#ledger.powerCut(at);
    await this.#cluster.joined();
    await eventually('results come again', this.#serves(), 60_000);
    await pause(CALM_MS);
    const figures = this.#kinds.get(fault.kind) ?? { made: 0, extraRuns: 0, longestGap: 0 };
    const gap = this.#ledger.longestGap;
    const extraRuns = await this.#witness.extraRuns();
    this.#kinds.set(fault.kind, {
      made: figures.made + 1,
      extraRuns: figures.extraRuns + extraRuns,
      longestGap: Math.max(figures.longestGap, gap),
    });
    return `${what}; ${extraRuns} bodies again, ${Math.round(gap)} ms without a result`;
  }

  /** Whether two further results have come since this was asked for. */
  #serves(): () => boolean {
    const before = this.#ledger.served;
    return () => this.#ledger.served >= before + 2;
  }

  /** Of each worker there are as many sandboxes as it says it holds. */
  async #checkSandboxes(audit: Audit): Promise<void> {
    const differences = async (): Promise<string[]> => {
      const views = await this.#cluster.view();
      const counts = this.#cluster.workers.map(async (place) => {
        const id = await this.#cluster.idOf(place);
        const holds = views.find((view) => view.id === id)?.holds ?? {};
        const held = Object.values(holds).reduce((sum, each) => sum + each, 0);
        const found = (await this.#cluster.sandboxesOf(place)).length;
        if (found === held) return [];
        return [`${place.process.name} has ${found} sandboxes, and says it holds ${JSON.stringify(holds)}`];
      });
      return (await Promise.all(counts)).flat();
    };
    await eventually(
      'workers hold what they say',
      async () => (await differences()).length === 0,
      15_000,
    ).catch(async () => audit.findings.other.push(...(await differences())));
  }

  #possible(): Fault[] {
    const { kinds, say } = this.#options;
    const wanted = ALL_FAULTS.filter(({ kind }) => kinds === undefined || kinds.includes(kind));
    const possible = wanted.filter((fault) => fault.possible(this.#cluster));
    const left = wanted.filter((fault) => !possible.includes(fault));
    for (const { kind } of left) say(`left out, as this run or this machine cannot have it: ${kind}`);
    return possible;
  }
}
