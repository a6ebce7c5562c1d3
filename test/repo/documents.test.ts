import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { settingsTable } from './settings-table.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Every Markdown page of the project, relative to its root. */
function documents(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return entry.name === 'node_modules' || entry.name.startsWith('.') ? [] : documents(path);
    }
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** The anchors that GitHub gives the headings of a page. */
function anchors(page: string): Set<string> {
  const headings = read(page).matchAll(/^#{1,6} +(.+)$/gm);
  return new Set(
    [...headings].map(([, text = '']) =>
      text
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}

interface Link {
  page: string;
  /** The page that the link leads to, relative to the project's root. */
  target: string;
  anchor: string | undefined;
}

const links = (): Link[] =>
  documents().flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
      ([, target = '', anchor]) => ({
        page,
        target: target === '' ? page : join(dirname(page), target),
        anchor,
      }),
    ),
  );

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

describe('The documents', () => {
  it('list every setting in the README, as the code defines it', () => {
    const [, shown] = /<!-- settings -->\n\n([^]*?)\n\n<!-- \/settings -->/.exec(read('README.md')) ?? [];
    expect(shown).to.equal(settingsTable());
  });

  it('link only to pages and headings that exist', () => {
    const dead = links().filter(
      ({ target, anchor }) =>
        !existsSync(join(ROOT, target)) ||
        (anchor !== undefined && target.endsWith('.md') && !anchors(target).has(anchor)),
    );
    expect(dead).to.deep.equal([]);
  });

  it('name only source files that exist', () => {
    const gone = documents()
      .filter((page) => page !== 'CHANGELOG.md')
      .flatMap((page) =>
        [...read(page).matchAll(/`((?:[\w.@-]+\/)+[\w.-]+\.(?:ts|mjs|js|c|h|py))`/g)]
          .map(([, path = '']) => path)
          .filter((path) => [path, join(dirname(page), path)].every((from) => !existsSync(join(ROOT, from))))
          .map((path) => `${page} → ${path}`),
      );
    expect(gone).to.deep.equal([]);
  });

  it('walk a call through functions that exist', () => {
    const steps = [...read('docs/architecture.md').matchAll(/^\| +(\d+) +\| `([^`]+)` +\| `([^`]+)`/gm)];
    expect(steps.map(([, step]) => Number(step))).to.deep.equal(steps.map((_, index) => index + 1));
    expect(steps).to.have.length.within(1, 25);
    const gone = steps
      .filter(([, , file = '', name = '']) => {
        // As a declaration, or as a method.
        const pattern = new RegExp(`(function |^  (async )?)${name}[(<]`, 'm');
        return !pattern.test(read(file));
      })
      .map(([, , file, name]) => `${file}: ${name}`);
    expect(gone).to.deep.equal([]);
  });

  it('have room for what is not released yet', () => {
    expect(read('CHANGELOG.md')).to.match(/^## \[Unreleased\]$/m);
  });
});
