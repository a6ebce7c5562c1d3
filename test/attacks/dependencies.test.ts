import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import pLimit from 'p-limit';
import { withBubblewrap, withCompiler, withEngine } from '../support/groups.js';
import { eventually } from '../../testkit/wait.js';
import { Arena, ending, leftOn, processesWith, SLOTS, type Call } from './arena.js';
import {
  INSTALL_DISK_MB,
  INSTALL_MB,
  INSTALL_MS,
  INSTALL_PIDS,
  INSTALLING,
  type Installing,
} from './installing.js';

/** What the worker keeps of what `dependencies` print. */
const MOST_LOGS = 64 * 1024;
/** Attacks at once: there is a mini-worker for the victim, always. */
const AT_ONCE = SLOTS - 1;

const LIMITS = {
  FAAS_DEPS_TIMEOUT_MS: String(INSTALL_MS),
  FAAS_DEPS_MEMORY_MB: String(INSTALL_MB),
  FAAS_DEPS_DISK_MB: String(INSTALL_DISK_MB),
  FAAS_DEPS_PIDS: String(INSTALL_PIDS),
};

withCompiler('from `dependencies`', () => {
  withEngine('in containers', () => attacks('docker', {}));
  withBubblewrap('in processes', () => attacks('process', { FAAS_SANDBOX: 'process' }));
});

/** What became of the call that installed, and of the next one. */
interface Course {
  call: Call;
  next?: Call;
}

function attacks(driver: 'docker' | 'process', settings: Record<string, string>): void {
  const tried = INSTALLING.filter(({ only = driver }) => only === driver);
  let arena: Arena;
  const courses = new Map<Installing, Promise<Course>>();

  before(async () => {
    arena = await Arena.open({ ...LIMITS, ...settings });
    arena.watch();
    const limit = pLimit(AT_ONCE);
    for (const [index, installing] of tried.entries()) {
      const course = limit(() => run(arena, `${installing.attack}-${index}`, installing));
      course.catch(() => undefined);
      courses.set(installing, course);
    }
  });
  after(async () => {
    await arena.close();
  });

  for (const installing of tried) {
    it(`contains ${installing.title}`, async () => {
      const course = await courses.get(installing);
      const { logs, error } = course?.call ?? {};
      expect(ending(course?.call), String(logs).slice(-1000)).to.deep.include(installing.ends);
      const { message } = (error ?? { message: '' }) as { message: string };
      expect(message).to.match(installing.because ?? /^/);
      expect(String(logs).length).to.be.below(MOST_LOGS + 100);
      if (course?.next !== undefined) {
        expect(ending(course.next)).to.deep.equal({ status: 'DONE', achieved: [] });
      }
    });
  }

  it('lets the calls of others go on meanwhile', async () => {
    await Promise.allSettled(courses.values());
    const seen = await arena.bystander();
    expect(
      seen.filter((each) => each.status !== 'DONE' || each.result !== '24\n' || each.attempts !== 1),
    ).to.deep.equal([]);
    expect(seen.length).to.be.above(5);
  });

  it('keeps its worker, and nothing else', async () => {
    await Promise.allSettled(courses.values());
    expect((await arena.workers()).map(({ id }) => id)).to.deep.equal([arena.workerId]);
    await eventually('no process is left', () => processesWith(arena.secret).length === 0);
    expect(await readFile(arena.canary, 'utf8')).to.equal(arena.secret);
    expect(leftOn(arena)).to.deep.equal([]);
  });
}

async function run(arena: Arena, name: string, { attack, params, then }: Installing): Promise<Course> {
  const told = { ...(await params?.(arena)), attack };
  await arena.deployInstaller(name, told);
  const call = await arena.call(name, { attack: 'installed' });
  const next = then !== undefined && (await arena.call(name, { ...told, attack: then }));
  await arena.panal.request('DELETE', `/functions/${name}`);
  return next === false ? { call } : { call, next };
}
