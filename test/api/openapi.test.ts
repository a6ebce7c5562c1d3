import { readFileSync } from 'node:fs';
import { openApiText, routes } from '@panal/api';
import { expect } from 'chai';
import { allRoutes } from '../../broker/src/http/app.js';
import { startedApi } from '../http/api.js';

const COMMITTED = new URL('../../docs/openapi.json', import.meta.url);

describe('The description of the API', () => {
  const api = startedApi();

  it('is what docs/openapi.json has; `npm run openapi` writes it', () => {
    expect(readFileSync(COMMITTED, 'utf8')).to.equal(
      `${JSON.stringify(JSON.parse(openApiText()), undefined, 2)}\n`,
    );
  });

  it('is what the broker serves at /openapi.json', async () => {
    expect((await api().get('/openapi.json')).text).to.equal(openApiText());
  });

  it('has every route that the broker serves, and no other', () => {
    const named = (each: { method: string; path: string }): string => `${each.method} ${each.path}`;
    expect(allRoutes(api().services).map(named)).to.have.members(Object.values(routes).map(named));
  });
});
