import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { allRoutes } from '../../broker/src/http/app.js';
import { startedApi } from './api.js';

/** Ways to write `path` that a proxy, or a router, may take for the same. */
function variantsOf(path: string): string[] {
  const [, first = '', rest = ''] = /^\/([^/]*)(.*)$/s.exec(path) ?? [];
  const hex = (first.codePointAt(0) ?? 0).toString(16);
  return [
    `${path}/`,
    `${path}//`,
    `/${path}`,
    `/.${path}`,
    `/x/..${path}`,
    `/x/%2e%2e${path}`,
    `/%2f${first}${rest}`,
    `/%5c${first}${rest}`,
    `/\\${first}${rest}`,
    `/%${hex}${first.slice(1)}${rest}`,
    `/%25${hex}${first.slice(1)}${rest}`,
    `/${first.toUpperCase()}${rest}`,
    `/${first};x${rest}`,
    `${path};x`,
    `${path}/.`,
    `${path}/x/..`,
    `${path}%2f`,
    `${path}%20`,
    `${path}%00`,
    `${path}%3f`,
    `${path}.json`,
    `${path}.`,
    `${path}\\`,
    path.replaceAll('/', '//'),
  ];
}

/** Targets that the parser of URLs reads as `path`, although they are not. */
const readAsPath = (path: string): string[] => {
  const backwards = path.replaceAll('/', '\\');
  return [`${path}#x`, backwards, `http://x${backwards}`];
};

describe('Every route', () => {
  // With credentials required, every route of users answers 401 to this client.
  const api = startedApi({ auth: 'required' });
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  after(() => agent.destroy());

  /** The code of the error that a request is answered with; where errors have another shape, the status. */
  async function codeOf(method: string, path: string): Promise<unknown> {
    const sent = request({ host: '127.0.0.1', port: api().port, method, path, agent }).end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return /"code":"(\w+)"/.exec(await text(answer))?.[1] ?? answer.statusCode;
  }

  it('is found at its own path, and at no other way to write it', async () => {
    const routes = allRoutes(api().services).map(({ method, path }) => ({
      method,
      sample: path.replace(/:\w+/g, 'x1'),
      pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/:\w+/g, '[^/]+')}$`),
    }));
    expect(routes.map(({ sample }) => sample)).to.include.members(['/metrics', '/backup', '/run/x1']);
    const unexpected: string[] = [];
    for (const { method, sample } of routes) {
      const variants = variantsOf(sample).filter((each) => !routes.some(({ pattern }) => pattern.test(each)));
      const codes = await Promise.all(variants.map((each) => codeOf(method, each)));
      variants.forEach((each, n) => {
        if (codes[n] !== 'NOT_FOUND') unexpected.push(`${method} ${each}: ${String(codes[n])}`);
      });
    }
    expect(unexpected).to.deep.equal([]);
  });

  it('is not found by what the parser of URLs makes of a target', async () => {
    for (const { method, path } of allRoutes(api().services)) {
      for (const target of readAsPath(path.replace(/:\w+/g, 'x1'))) {
        expect(await codeOf(method, target), target).to.be.oneOf(['INVALID_REQUEST', 400]);
      }
    }
  });

  it('is found by the absolute form of its target, as HTTP has it', async () => {
    const answer = request({ host: '127.0.0.1', port: api().port, path: 'http://x/healthz' }).end();
    const [{ statusCode }] = (await once(answer, 'response')) as [IncomingMessage];
    expect(statusCode).to.equal(200);
  });
});
