import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { z } from 'zod';

const GATEWAY = fileURLToPath(new URL('../../hub-deployment/gateway/', import.meta.url));
const read = (file: string): string => readFileSync(GATEWAY + file, 'utf8');

/** What is used of APISIX's published schema (of 3.x): its own check of a file that was not run here. */
const FORWARD_AUTH_PRIORITY = 2002;
const limit = z.strictObject({
  _meta: z.strictObject({ priority: z.int().min(FORWARD_AUTH_PRIORITY + 1) }),
  key_type: z.literal('var_combination'),
  key: z.string().regex(/^\$remote_addr \w+$/),
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
  'client-control': z.strictObject({ max_body_size: z.int().min(1) }).optional(),
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
  apisix: z.strictObject({
    node_listen: z.literal(9080),
    enable_admin: z.literal(false),
    enable_server_tokens: z.literal(false),
    dns_resolver_valid: z.int().min(1).max(10),
  }),
  nginx_config: z.strictObject({
    http: z.strictObject({ underscores_in_headers: z.literal('off'), client_max_body_size: z.string() }),
    http_configuration_snippet: z.string(),
    http_server_configuration_snippet: z.string(),
  }),
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
      image: z.string(),
      ports: z.array(z.string()).optional(),
      networks: z.object({ default: z.object({ ipv4_address: z.ipv4() }) }).optional(),
      environment: z.record(z.string(), z.string()).optional(),
    }),
  ),
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
    for (const own of ['/functions/register', '/functions/deregister', '/functions/activate']) {
      expect(routeOf(own)?.plugins, own).not.to.have.property('forward-auth');
      expect(routeOf(own)?.upstream_id, own).to.equal('broker');
      expect(locationOf(own), own).to.contain('proxy_pass').and.not.to.contain('auth_request');
    }
    for (const hidden of ['/metrics', '/backup']) {
      expect(routeOf(hidden)?.plugins['fault-injection']?.abort.http_status, hidden).to.equal(404);
      expect(locationOf(hidden), hidden).to.contain('return 404');
    }
    expect(routeOf('/*')?.plugins['forward-auth']).to.deep.include({ upstream_headers: ['X-Faas-User'] });
    for (const guarded of ['/', '/registerFunction/']) {
      expect(routeOf(`${guarded}*`)?.plugins, guarded).to.have.property('forward-auth');
      expect(locationOf(guarded), guarded).to.contain('auth_request /_verify;');
    }
  });

  it('slow down the same with both', () => {
    const perMinute = 60 * (routeOf('/register')?.plugins['limit-req']?.rate ?? 0);
    expect(Math.round(perMinute)).to.equal(10);
    expect(nginx).to.contain('zone=registrations:10m rate=10r/m;');
    expect(nginx).to.contain(`zone=clients:10m rate=${routeOf('/*')?.plugins['limit-req']?.rate ?? 0}r/s;`);
    for (const each of routes) {
      const limits = each.plugins['limit-req'];
      if (each.upstream_id === undefined) continue;
      expect(limits?.rejected_code).to.equal(429);
      const isRegistration = each.id === 'registration';
      expect(limits?.key).to.equal(isRegistration ? '$remote_addr registrations' : '$remote_addr requests');
    }
  });

  it('take no larger bodies with one than with the other', () => {
    const bytes = { '16k': 16 * 1024, '1m': 1024 * 1024, '65m': 65 * 1024 * 1024 } as const;
    const byDefault = /client_max_body_size (\w+);\n {4}# Answers/.exec(nginx)?.[1];
    for (const each of routes) {
      if (each.upstream_id === undefined) continue;
      for (const uri of each.uris ?? [each.uri?.replace(/\*$/, '') ?? '']) {
        const size = /client_max_body_size (\w+);/.exec(locationOf(uri))?.[1] ?? byDefault;
        const wanted = Object.entries(bytes).find(([text]) => text === size)?.[1];
        expect(each.plugins['client-control']?.max_body_size, uri).to.equal(wanted);
      }
    }
    expect(settings.nginx_config.http.client_max_body_size).to.equal('65m');
  });

  it('believe no header that a client writes of itself', () => {
    for (const each of routes) {
      if (each.upstream_id === undefined) continue;
      expect(each.plugins['proxy-rewrite']?.headers.remove).to.have.members([
        'X-Faas-User',
        'X-Forwarded-For',
      ]);
    }
    expect(nginx).to.contain('underscores_in_headers off;').and.not.to.contain('$proxy_add_x_forwarded_for');
  });

  it('tell their own errors in the same words', () => {
    const block = (name: string, text: string): string | undefined => {
      const found = new RegExp(`# --- errors \\(${name}\\):.*\n([^]*?) *# --- end`).exec(text)?.[1];
      return found?.replace(/^ +/gm, '');
    };
    const { http_configuration_snippet: http, http_server_configuration_snippet: server } =
      settings.nginx_config;
    expect(block('http', nginx)).to.be.a('string').and.to.equal(block('http', http));
    expect(block('server', nginx)).to.be.a('string').and.to.equal(block('server', server));
  });

  it('run an APISIX whose forward-auth lets nobody write headers of its own', () => {
    const { services } = compose.parse(load(read('apisix/docker-compose.yml')));
    const [, major, minor] = /^apache\/apisix:(\d+)\.(\d+)\.\d+-/.exec(services.gateway?.image ?? '') ?? [];
    expect(Number(major)).to.equal(3);
    expect(Number(minor)).to.be.at.least(16);
  });

  for (const kind of ['nginx', 'apisix']) {
    it(`leave no way around ${kind}, whose word the broker believes`, () => {
      const { services } = compose.parse(load(read(`${kind}/docker-compose.yml`)));
      expect(services.gateway?.ports).to.deep.equal(['${PANAL_BIND:-127.0.0.1}:${PANAL_PORT:-9080}:9080']);
      expect(services.broker?.ports).to.equal(undefined);
      expect(services.broker?.environment).to.include({
        FAAS_AUTH: 'required',
        FAAS_TRUSTED_PROXIES: services.gateway?.networks?.default.ipv4_address,
      });
    });
  }
});
