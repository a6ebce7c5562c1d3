import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import pLimit from 'p-limit';
import type { Lifecycle } from '@panal/protocol';
import Docker from 'dockerode';
import { withBubblewrap, withCompiler, withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { Arena, ending, leftOn, processesWith, SLOTS, type Call } from './arena.js';
import { ATTACKS, type Attack } from './table.js';

const EVERY: readonly Lifecycle[] = ['fresh', 'warm', 'hot'];
/** A handler is its sandbox's own process, with or without the agent. */
const WITHOUT_HANDLER: readonly Lifecycle[] = ['fresh', 'warm'];
const MOST_LOGS = 64 * 1024;

withCompiler('with the agent', () => {
  withEngine('in containers', () => attacks('docker', EVERY, { FAAS_PRELOAD: 'runtime' }));
  withBubblewrap('in processes', () => attacks('process', EVERY, { FAAS_SANDBOX: 'process' }));
});
describe('without the agent', () => {
  const without = { FAAS_AGENT: 'off' };
  withEngine('in containers', () => attacks('docker', WITHOUT_HANDLER, without));
  withBubblewrap('in processes', () =>
    attacks('process', WITHOUT_HANDLER, { ...without, FAAS_SANDBOX: 'process' }),
  );
});

/** Attacks at once: there is a mini-worker for the victim, always. */
const AT_ONCE = SLOTS - 1;

/** What became of an attack's call, and of the next call in a sandbox that may be kept. */
interface Course {
  call: Call;
  next?: Call;
}

function attacks(
  driver: 'docker' | 'process',
  lifecycles: readonly Lifecycle[],
  settings: Record<string, string>,
): void {
  const tried = ATTACKS.filter(({ only }) => (only?.driver ?? driver) === driver).flatMap((attack) =>
    lifecycles
      .filter((lifecycle) => attack.only?.lifecycles?.includes(lifecycle) ?? true)
      .map((lifecycle) => ({ attack, lifecycle })),
  );
  let arena: Arena;
  /** All of them side by side, as far as there are mini-workers. */
  const courses = new Map<string, Promise<Course>>();
  const nameOf = (attack: Attack, lifecycle: Lifecycle): string =>
    `${lifecycle}-${ATTACKS.indexOf(attack)}-${attack.attack}`;

  before(async () => {
    arena = await Arena.open(settings);
    arena.watch();
    const limit = pLimit(AT_ONCE);
    for (const { attack, lifecycle } of tried) {
      const name = nameOf(attack, lifecycle);
      const course = limit(() => run(arena, name, attack, lifecycle));
      course.catch(() => undefined);
      courses.set(name, course);
    }
  });
  after(async () => {
    await arena.close();
  });

  for (const { attack, lifecycle } of tried) {
    it(`contains ${attack.title} (${lifecycle})`, async () => {
      const course = await courses.get(nameOf(attack, lifecycle));
      expect(ending(course?.call)).to.deep.include(
        lifecycle === 'hot' ? (attack.hot ?? attack.ends) : attack.ends,
      );
      expect(String(course?.call.logs).length).to.be.below(MOST_LOGS + 100);
      // The function can be called as before, and meets nothing that is not its own.
      if (course?.next === undefined) return;
      expect(ending(course.next)).to.deep.include(attack.then?.ends ?? { status: 'DONE', achieved: [] });
    });
  }

  it('lets the calls of others go on meanwhile', async () => {
    await Promise.allSettled(courses.values());
    const seen = await arena.bystander();
    const odd = seen.filter(
      ({ status, result, attempts }) => status !== 'DONE' || result !== '24\n' || attempts !== 1,
    );
    expect(odd).to.deep.equal([]);
    expect(seen.length).to.be.above(5);
    const longest = Math.max(...seen.map(({ ms }) => ms));
    expect(longest).to.be.below(10_000);
  });

  it('keeps its worker, and nothing else', async () => {
    const [worker, ...others] = await arena.workers();
    expect(worker).to.include({ id: arena.workerId });
    expect(others).to.deep.equal([]);
    await eventually('no process is left', () => processesWith(arena.secret).length === 0);
    expect(await readFile(arena.canary, 'utf8')).to.equal(arena.secret);
    expect(leftOn(arena)).to.deep.equal([]);
  });

  if (driver === 'docker') {
    it('leaves no container when it stops', async () => {
      await arena.panal.stop();
      const filters = { label: [`panal.worker=${arena.workerId}`] };
      expect(await new Docker().listContainers({ all: true, filters })).to.deep.equal([]);
    });
  }
}

async function run(arena: Arena, name: string, attack: Attack, lifecycle: Lifecycle): Promise<Course> {
  await arena.deploy(name, lifecycle, attack.settings ?? {});
  const params = await attack.params?.(arena);
  const call = await arena.call(name, { ...params, attack: attack.attack });
  const further = lifecycle !== 'fresh' || attack.then !== undefined;
  const next = further && (await arena.call(name, { ...params, attack: attack.then?.attack ?? 'alive' }));
  await arena.panal.request('DELETE', `/functions/${name}`);
  return next === false ? { call } : { call, next };
}
