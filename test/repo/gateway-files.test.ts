import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { z } from 'zod';

const GATEWAY = fileURLToPath(new URL('../../hub-deployment/gateway/', import.meta.url));
const read = (file: string): string => readFileSync(GATEWAY + file, 'utf8');

/** What is used of APISIX's published schema (of 3.x): its own check of a file that was not run here. */
const limit = z.strictObject({
  key_type: z.literal('var'),
  key: z.literal('remote_addr'),
  rate: z.number().positive(),
  burst: z.number().min(0),
  nodelay: z.boolean(),
  rejected_code: z.int().min(200).max(599),
});
const rewrite = z.strictObject({ headers: z.strictObject({ remove: z.array(z.string()).min(1) }) });
const auth = z.strictObject({
  uri: z.url(),
  request_headers: z.array(z.string()),
  upstream_headers: z.array(z.string()),
  client_headers: z.array(z.string()),
  timeout: z.int().min(1).max(60_000),
  status_on_error: z.int().min(200).max(599),
});
const abort = z.strictObject({ abort: z.strictObject({ http_status: z.int().min(200) }) });
const id = z.string().regex(/^[a-zA-Z0-9-_.]{1,64}$/);
const plugins = z.strictObject({
  'limit-req': limit.optional(),
  'proxy-rewrite': rewrite.optional(),
  'forward-auth': auth.optional(),
  'fault-injection': abort.optional(),
});
const path = z.string().startsWith('/');
const route = z
  .strictObject({
    id,
    uri: path.optional(),
    uris: z.array(path).min(1).optional(),
    methods: z.array(z.enum(['GET', 'POST'])).optional(),
    upstream_id: id.optional(),
    plugins,
  })
  .refine(({ uri, uris }) => (uri === undefined) !== (uris === undefined), 'either uri or uris');
const upstream = z.strictObject({
  id,
  type: z.literal('roundrobin'),
  nodes: z.record(z.string().regex(/^[\w.-]+:\d+$/), z.int().min(0)),
  timeout: z.strictObject({ connect: z.number(), send: z.number(), read: z.number() }),
});
const apisix = z.strictObject({ routes: z.array(route), upstreams: z.array(upstream) });

const config = z.strictObject({
  apisix: z.strictObject({ node_listen: z.literal(9080), enable_admin: z.literal(false) }),
  deployment: z.strictObject({
    role: z.literal('data_plane'),
    role_data_plane: z.strictObject({ config_provider: z.literal('yaml') }),
  }),
  plugins: z.array(z.string()),
});

const compose = z.looseObject({
  services: z.record(
    z.string(),
    z.looseObject({
      ports: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.string()).optional(),
    }),
  ),
  networks: z.object({
    default: z.object({ ipam: z.object({ config: z.array(z.object({ subnet: z.string() })) }) }),
  }),
});

describe('The files of the gateway', () => {
  const { routes, upstreams } = apisix.parse(load(read('apisix/apisix.yaml')));
  const settings = config.parse(load(read('apisix/config.yaml')));
  const nginx = read('nginx/nginx.conf');
  const routeOf = (uri: string): z.infer<typeof route> | undefined =>
    routes.find((each) => each.uris?.includes(uri) === true || each.uri === uri);
  const locationOf = (uri: string): string =>
    nginx
      .split(/^ {4}location /m)
      .find((each) => each.startsWith(`= ${uri} {`) || each.startsWith(`${uri} {`)) ?? '';

  it('for APISIX have the form that its schema asks for, and end as it wants', () => {
    expect(read('apisix/apisix.yaml').trimEnd()).to.match(/\n#END$/);
    for (const { upstream_id: used } of routes) {
      if (used !== undefined) expect(upstreams.map((each) => each.id)).to.include(used);
    }
    const used = new Set(routes.flatMap((each) => Object.keys(each.plugins)));
    expect(settings.plugins).to.have.members([...used]);
    expect(new Set(routes.map((each) => each.id))).to.have.property('size', routes.length);
  });

  it('open and hide the same with APISIX and with nginx', () => {
    for (const open of ['/register', '/users', '/users/token', '/healthz', '/readyz', '/openapi.json']) {
      expect(routeOf(open)?.plugins, open).not.to.have.property('forward-auth');
      expect(routeOf(open)?.plugins['proxy-rewrite']?.headers.remove, open).to.include('X-Faas-User');
      expect(locationOf(open), open).to.contain('proxy_pass').and.not.to.contain('auth_request');
    }
    for (const hidden of ['/metrics', '/backup']) {
      expect(routeOf(hidden)?.plugins['fault-injection']?.abort.http_status, hidden).to.equal(404);
      expect(locationOf(hidden), hidden).to.contain('return 404');
    }
    expect(routeOf('/*')?.plugins['forward-auth']).to.deep.include({ upstream_headers: ['X-Faas-User'] });
    expect(locationOf('/')).to.contain('auth_request /_verify;');
  });

  it('slow down the same with both', () => {
    const perMinute = 60 * (routeOf('/register')?.plugins['limit-req']?.rate ?? 0);
    expect(Math.round(perMinute)).to.equal(10);
    expect(nginx).to.contain('zone=registrations:10m rate=10r/m;');
    expect(nginx).to.contain(`zone=clients:10m rate=${routeOf('/*')?.plugins['limit-req']?.rate ?? 0}r/s;`);
    for (const each of routes) {
      const limits = each.plugins['limit-req'];
      if (limits !== undefined) expect(limits.rejected_code).to.equal(429);
    }
  });

  for (const kind of ['nginx', 'apisix']) {
    it(`leave no way around ${kind}, whose word the broker believes`, () => {
      const { services, networks } = compose.parse(load(read(`${kind}/docker-compose.yml`)));
      expect(services.gateway?.ports).to.deep.equal(['${PANAL_BIND:-127.0.0.1}:${PANAL_PORT:-9080}:9080']);
      expect(services.broker?.ports).to.equal(undefined);
      expect(services.broker?.environment).to.include({
        FAAS_AUTH: 'required',
        FAAS_TRUSTED_PROXIES: networks.default.ipam.config[0]?.subnet,
      });
    });
  }
});
