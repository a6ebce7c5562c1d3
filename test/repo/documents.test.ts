import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { settingsTable } from './settings-table.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function documents(): string[] {
  const pages = ['.', 'docs'].flatMap((folder) =>
    readdirSync(join(ROOT, folder)).map((name) => join(folder, name)),
  );
  return pages.filter((page) => page.endsWith('.md'));
}

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

describe('The documents', () => {
  it('list every setting in the README, as the code defines it', () => {
    const [, shown] = /<!-- settings -->\n\n([^]*?)\n\n<!-- \/settings -->/.exec(read('README.md')) ?? [];
    expect(shown).to.equal(settingsTable());
  });

  it('link only to pages that exist', () => {
    const dead = documents().flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)]
        .map(([, target]) => join(dirname(page), target ?? ''))
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${page} → ${target}`),
    );
    expect(dead).to.deep.equal([]);
  });

  it('have room for what is not released yet', () => {
    expect(read('CHANGELOG.md')).to.match(/^## \[Unreleased\]$/m);
  });
});
