import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CONTRACTS, LIFECYCLES, LIFECYCLE_TRAITS } from '@panal/protocol';
import { expect } from 'chai';
import { FunctionError } from '../../worker/src/errors.js';
import { contractOf } from '../../worker/src/contracts/index.js';
import { imageSpec, runtimeSpec } from '../support/specs.js';

const WORKER = fileURLToPath(new URL('../../worker/src/', import.meta.url));

describe('contracts', () => {
  it('are what the lifecycle says, and each has a name of its own', () => {
    for (const lifecycle of LIFECYCLES) {
      expect(contractOf(lifecycle).name).to.equal(LIFECYCLE_TRAITS[lifecycle].contract);
    }
    expect(new Set(LIFECYCLES.map((each) => contractOf(each).name))).to.deep.equal(new Set(CONTRACTS));
  });

  it('refuse a version that has nothing to start', () => {
    const [command, handler] = [contractOf('warm'), contractOf('hot')];
    if (command.server !== undefined || handler.server === undefined) throw new Error('the other way round');
    const image = { spec: imageSpec('empty'), imageCommand: [] };
    expect(() => command.command(image, { argument: undefined })).to.throw(FunctionError, 'entrypoint');
    const { spec } = {
      spec: runtimeSpec('script', { runtime: { name: 'r', image: 'i', path: '/ws', run: 'x' } }),
    };
    expect(() => handler.server({ spec })).to.throw(FunctionError, 'no handler');
  });

  it('are known to the rest of the worker by their interface alone', async () => {
    const files = (await readdir(WORKER, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const own = (name: string): boolean => name.startsWith('contracts/');
    const offenders: string[] = [];
    for (const name of files.filter((each) => !own(each))) {
      const text = await readFile(`${WORKER}${name}`, 'utf8');
      if (/from '[^']*contracts\/(?:command|handler)\//.test(text)) offenders.push(name);
    }
    expect(files.some(own)).to.equal(true);
    expect(offenders).to.deep.equal([]);
  });
});
