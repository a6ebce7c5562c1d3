import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import fc, { type Arbitrary } from 'fast-check';
import { checkAnswers } from '../answers.js';
import { changedBytes, changedJson, garbage, oddValue } from '../mutations.js';
import { exchange, request } from '../raw-http.js';
import { Site } from '../site.js';
import type { Session, Shot, Target } from '../target.js';

const BASIC = `Basic ${Buffer.from('ana@example.org:secret').toString('base64')}`;
const JSON_REQUESTS: readonly (readonly [method: string, path: string, body: unknown])[] = [
  ['POST', '/invokeFunction', { funcName: 'echo', params: { roll: '4d6', list: [1, null, 'é'] } }],
  ['POST', '/invokeFunction?wait=1', { funcName: 'echo' }],
  [
    'POST',
    '/registerRuntime',
    { image: 'mine', path: '/ws', run: 'true', dependencies: 'true', handler: 'true' },
  ],
  [
    'POST',
    '/registerFunction',
    { functionName: 'image', image: 'example/image:1', timeoutMs: 1000, env: { A: '1' } },
  ],
  ['PUT', '/functions/echo', { memoryMb: 64, retry: { attempts: 2, backoffMs: 10 } }],
  ['PUT', '/functions/echo', { version: 1 }],
  ['POST', '/users', { email: 'eva@example.org', password: 'secret' }],
  ['POST', '/users/token', { email: 'ana@example.org', password: 'secret' }],
  ['POST', '/functions/register', { functionName: 'rev', dockerImage: 'example/rev' }],
  ['POST', '/functions/deregister', { functionName: 'rev' }],
  ['POST', '/functions/activate', { functionName: 'rev', parameter: 'hello' }],
];
/** Invocations as no JSON.stringify writes them. */
const WRITTEN_BY_HAND = [
  '{"funcName":"echo","params":{"id":9007199254740993,"f":1.0,"big":1e400,"f":-0,"10":1}}',
  ' {\t"params" : "a\\"},\\ud800\\u00e9" ,\n"func\\u004eame":"echo" } ',
  '{"funcName":"echo","params":[{"\\u005f_proto__":1}],"funcName":"echo"}',
];
const PATHS = [
  ...[
    '/',
    '/healthz',
    '/readyz',
    '/workers',
    '/metrics',
    '/openapi.json',
    '/backup',
    '/auth/verify',
    '/users/me',
  ],
  ...['/runtimes', '/runtimes/pythonruntime', '/functions', '/functions/echo', '/functions/echo/versions'],
  ...['/functions/echo/versions/1', '/calls', '/call/1', '/call/1/logs', '/call/1/retry', '/run/echo'],
  ...[
    '/functions?limit=2&after=a',
    '/calls?limit=10&before=100&status=DONE&funcName=echo',
    '/call/1/logs?follow=1',
  ],
];
const HEADERS: readonly Record<string, string>[] = [
  {},
  { Authorization: BASIC },
  { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
  { Prefer: 'wait=1, respond-async;x="a\\"b"', 'Idempotency-Key': '"key 1"' },
  { Origin: 'http://panal', 'Sec-Fetch-Site': 'cross-site' },
  { 'X-Forwarded-For': '10.0.0.1, ::1', Expect: '100-continue' },
];

const samples: readonly Buffer[] = [
  ...JSON_REQUESTS.map(([method, path, body]) => request(method, path, JSON.stringify(body))),
  ...WRITTEN_BY_HAND.map((text) => request('POST', '/invokeFunction', text)),
  ...PATHS.map((path) => request('GET', path)),
  request('DELETE', '/call/1'),
  request('DELETE', '/functions/echo/versions/1'),
  ...HEADERS.map((headers) => request('POST', '/run/echo', '{"a":1}', headers)),
  request('POST', '/register', '', { Authorization: BASIC }),
  Buffer.from(
    'POST /run/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n',
  ),
];

const METHODS = [
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
  'PRI',
  'get',
];
const ODD_HEADERS = [
  ...[
    'authorization',
    'content-length',
    'transfer-encoding',
    'content-type',
    'content-encoding',
    'expect',
    'host',
  ],
  ...[
    'connection',
    'upgrade',
    'prefer',
    'idempotency-key',
    'origin',
    'sec-fetch-site',
    'x-forwarded-for',
    'cookie',
  ],
  ...['accept', 'range', 'if-none-match', 'te', 'trailer', '__proto__', 'keep-alive'],
];
const ODD_HEADER_VALUES = [
  ...[
    '',
    '0',
    '-1',
    '1e3',
    '99999999999999999999',
    'chunked',
    'chunked, chunked',
    'gzip',
    'identity',
    'close',
  ],
  ...[
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'text/event-stream',
    'upgrade',
    'websocket',
    'h2c',
  ],
  ...[
    'Basic',
    'Basic =',
    'Basic Og==',
    'Bearer',
    'Bearer a.b.c',
    BASIC,
    'wait=1',
    'wait=99999999999',
    '"',
    '"k"',
  ],
  ...[
    '100-continue',
    '200-ok',
    'bytes=0-1',
    'a'.repeat(9000),
    ';,'.repeat(3000),
    '"\\'.repeat(3000),
    '\u00e9',
  ],
];

const oddHeader = fc.tuple(
  fc.constantFrom(...ODD_HEADERS),
  fc.oneof(
    fc.constantFrom(...ODD_HEADER_VALUES),
    fc.string({ maxLength: 40 }).map((text) => text.replaceAll(/[\r\n]/g, '')),
  ),
);

/** Well-formed or nearly so: what comes through to the routes. */
const oddRequest: Arbitrary<Buffer> = fc
  .record({
    method: fc.constantFrom(...METHODS),
    path: fc.oneof(
      fc.constantFrom(...PATHS),
      changedBytes(
        PATHS.map((path) => Buffer.from(path)),
        2,
      ).map((path) => path.toString('latin1')),
    ),
    query: fc.oneof(
      fc.constant(''),
      fc.webQueryParameters().map((query) => `?${query}`),
    ),
    headers: fc.array(oddHeader, { maxLength: 4 }),
    body: fc.oneof(
      fc.constant(''),
      oddValue.map((value) => JSON.stringify(value)),
      fc.string({ maxLength: 50 }),
    ),
  })
  .map(({ method, path, query, headers, body }) =>
    request(method, path + query, body, Object.fromEntries(headers)),
  );

const oddJson: Arbitrary<Buffer> = fc.constantFrom(...JSON_REQUESTS).chain(([method, path, body]) => {
  const headers = fc.constantFrom(...HEADERS);
  return fc
    .tuple(changedJson([JSON.stringify(body)]), headers)
    .map(([json, more]) => request(method, path, json, more));
});

const shots: Arbitrary<Shot> = fc
  .oneof(
    { weight: 5, arbitrary: changedBytes(samples) },
    { weight: 4, arbitrary: oddRequest },
    { weight: 4, arbitrary: oddJson },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.oneof(changedBytes(samples, 1), oddJson), { maxLength: 5 })
        .map((all) => Buffer.concat(all)),
    },
    { weight: 1, arbitrary: garbage },
  )
  .map((bytes) => [bytes]);

/** Requests: their heads, paths, queries and bodies. */
export const http: Target = {
  name: 'http',
  weight: 30,
  async open({ folder }) {
    const site = await Site.open({ folder: await mkdtemp(join(folder, 'site-')) });
    await site.register('echo', { lifecycle: 'hot' });
    return throwing(site, shots, 8);
  },
};

/** Throws each shot at a site as one connection. */
export function throwing(site: Site, arbitrary: Arbitrary<Shot>, volley: number): Session {
  return {
    shots: arbitrary,
    volley,
    async feed(volleyed) {
      await Promise.all(
        volleyed.map(async ([bytes = Buffer.alloc(0)]) => {
          const isHead = Buffer.from(bytes.subarray(0, 5)).toString() === 'HEAD ';
          checkAnswers(await exchange(site.port, bytes), isHead);
        }),
      );
      site.checkSilence();
    },
    canary: () => site.canary(),
    vitals: () => site.vitals(),
    close: () => site.close(),
  };
}
