import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { cruise, type ICruiseResult } from 'dependency-cruiser';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGES = (JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { workspaces: string[] })
  .workspaces;

interface Room {
  name: string;
  /** What the paths of its files begin with. */
  path: string;
  /** Names of the rooms that it may import from. */
  imports: Set<string>;
}

/** The rooms as the table in docs/architecture.md has them. */
function rooms(): Room[] {
  const page = readFileSync(`${ROOT}/docs/architecture.md`, 'utf8');
  const [, table = ''] = /^## The rooms\n([^]*?)^## /m.exec(page) ?? [];
  const names = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  return [...table.matchAll(/^\| (`[^|]*)\|[^|]*\|([^|]*)\|$/gm)].flatMap(([, cell, imports]) =>
    names(cell).map((name) => {
      const [first = '', ...rest] = name.split('/');
      return { name, path: `${first}/src/${rest.join('/')}`, imports: new Set(names(imports)) };
    }),
  );
}

/** The room with the longest path that a file's path begins with. */
function roomOf(file: string, all: readonly Room[]): Room | undefined {
  return all
    .filter(({ path }) => file.startsWith(path))
    .sort((one, other) => other.path.length - one.path.length)[0];
}

interface Import {
  from: string;
  to: string;
}

/** One of the ways round, if rooms import from each other in a circle. */
function circle(all: readonly Room[]): string[] | undefined {
  const done = new Set<string>();
  const walk = (name: string, way: string[]): string[] | undefined => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const next of all.find((room) => room.name === name)?.imports ?? []) {
      const found = walk(next, [...way, name]);
      if (found !== undefined) return found;
    }
    done.add(name);
    return undefined;
  };
  for (const { name } of all) {
    const found = walk(name, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

describe('The architecture', function () {
  this.timeout(120_000);
  let result: ICruiseResult;
  const all = rooms();

  before(async () => {
    const { output } = await cruise(
      PACKAGES.map((name) => `${name}/src`).filter((path) => existsSync(`${ROOT}/${path}`)),
      {
        baseDir: ROOT,
        validate: true,
        ruleSet: { forbidden: [{ name: 'cycle', severity: 'error', from: {}, to: { circular: true } }] },
        tsPreCompilationDeps: true,
        doNotFollow: { path: 'node_modules' },
        enhancedResolveOptions: {
          conditionNames: ['@panal/source', 'import', 'node'],
          exportsFields: ['exports'],
        },
      },
    );
    if (typeof output === 'string') throw new TypeError('dependency-cruiser gave text');
    result = output;
  });

  const imports = (): Import[] =>
    result.modules
      .filter(({ source }) => PACKAGES.some((name) => source.startsWith(`${name}/src/`)))
      .flatMap(({ source, dependencies }) =>
        dependencies.map(({ resolved }) => ({ from: source, to: resolved })),
      )
      .filter(({ to }) => PACKAGES.some((name) => to.startsWith(`${name}/src/`)));

  it('has no file that imports itself by way of others', () => {
    const cycles = result.summary.violations.map(({ from, cycle = [] }) =>
      [from, ...cycle.map(({ name }) => name)].join(' → '),
    );
    expect(cycles).to.deep.equal([]);
  });

  it('has no room outside of the table of rooms', () => {
    const homeless = imports().filter(({ from }) => roomOf(from, all) === undefined);
    expect(homeless).to.deep.equal([]);
  });

  it('lets a room import only from those that the table names', () => {
    const wrong = imports().filter(({ from, to }) => {
      const [here, there] = [roomOf(from, all), roomOf(to, all)];
      return here !== undefined && there !== undefined && here !== there && !here.imports.has(there.name);
    });
    expect(wrong).to.deep.equal([]);
  });

  it('names no import in the table that no file has', () => {
    const found = new Set(
      imports().map(({ from, to }) => `${roomOf(from, all)?.name} ← ${roomOf(to, all)?.name}`),
    );
    const idle = all.flatMap(({ name, imports: named }) =>
      [...named].map((other) => `${name} ← ${other}`).filter((edge) => !found.has(edge)),
    );
    expect(idle).to.deep.equal([]);
  });

  it('has no rooms that import from each other in a circle', () => {
    expect(circle(all)).to.equal(undefined);
  });
});
