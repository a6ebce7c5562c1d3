import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc, { type Arbitrary } from 'fast-check';
import { encodeCall } from '../../worker/src/contracts/protocol/frames.js';
import { changedBytes, garbage } from '../mutations.js';
import type { Shot, Target } from '../target.js';
import { vitalsOf } from '../vitals.js';

const SOURCES = fileURLToPath(new URL('../../runtimes/agent/', import.meta.url));
const FRAMES = { CALL: 1, INPUT: 2, END_INPUT: 3, CANCEL: 4, SHUTDOWN: 5 };
/** An agent whose worker has gone is gone itself in this time. */
const END_MS = 5000;
const SANITIZERS = '-fsanitize=address,undefined';
/** How an agent ends: with its worker, or over what is no frame. A sanitizer ends it with 77. */
const RIGHT_CODES = [0, 1];

function frame(type: number, payload: string | Uint8Array = ''): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.byteLength + 1);
  head.writeUInt8(type, 4);
  return Buffer.concat([head, body]);
}

const call = (fields: readonly string[], body = ''): Buffer =>
  Buffer.concat(encodeCall(fields, Buffer.from(body)));
const soon = 'deadline=9999999999999';
const samples = [
  call(['callNum=1', soon, 'arg=cat', 'env=A=1', 'cwd=/'], 'hello'),
  call(['arg=sh', 'arg=-c', 'arg=echo out; echo err >&2; exit 3', soon]),
  call(['arg=/nowhere/nothing']),
  call(['arg=sleep', 'arg=5', 'deadline=1']),
  Buffer.concat([call(['arg=sleep', 'arg=5', soon]), frame(FRAMES.CANCEL)]),
  Buffer.concat([
    call(['arg=true'], 'x'.repeat(3000)),
    frame(FRAMES.INPUT, 'late'),
    frame(FRAMES.END_INPUT),
    frame(FRAMES.SHUTDOWN),
  ]),
];

const oddFrame: Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(fc.constantFrom(1, 2, 3, 4, 5, 0, 6, 0x11, 0xff), fc.uint8Array({ maxLength: 60 }))
    .map(([type, bytes]) => frame(type, bytes)),
  fc
    .array(
      fc.constantFrom(
        'arg=true',
        'arg=',
        'arg',
        '=',
        '',
        'env=',
        'env==',
        'env=A',
        'env=PATH=',
        'cwd=',
        'cwd=/nowhere',
        'deadline=',
        'deadline=x',
        'deadline=-1',
        'deadline=99999999999999999999',
        'deadline=-99999999999999999999',
        `env=${'x'.repeat(9000)}=1`,
        `arg=${'y'.repeat(200_000)}`,
      ),
      { maxLength: 8 },
    )
    .map((fields) => frame(FRAMES.CALL, fields.map((field) => `${field}\0`).join(''))),
  fc.constantFrom(
    frame(FRAMES.CALL, 'arg=true'),
    frame(FRAMES.INPUT, Buffer.alloc(300_000)),
    Buffer.from([1, 0, 0, 1, 2]),
    Buffer.from([0, 0, 0, 0]),
  ),
);

const shots: Arbitrary<Shot> = fc
  .oneof(
    { weight: 5, arbitrary: changedBytes(samples) },
    {
      weight: 4,
      arbitrary: fc
        .array(fc.oneof(oddFrame, fc.constantFrom(...samples)), { minLength: 1, maxLength: 5 })
        .map((all) => Buffer.concat(all)),
    },
    { weight: 1, arbitrary: garbage },
  )
  .map((bytes) => [bytes]);

/**
 * What a worker writes to the agent, from somebody who is none. The agent is built with the address and undefined
 * behaviour sanitizers, and what it starts sees nothing of this machine that it could write to.
 */
export const agent: Target = {
  name: 'runtime protocol: agent',
  weight: 3,
  missing() {
    if (process.platform !== 'linux') return 'the agent is for Linux';
    if (spawnSync('cc', ['--version']).error !== undefined) return 'there is no C compiler';
    return spawnSync('bwrap', ['--ro-bind', '/', '/', 'true']).status === 0
      ? undefined
      : 'bubblewrap does not work here';
  },
  async open({ folder }) {
    const program = await build(await mkdtemp(join(folder, 'agent-')));
    return {
      shots,
      volley: 4,
      async feed(volley) {
        await Promise.all(volley.map(async ([bytes = Buffer.alloc(0)]) => await talk(program, bytes)));
      },
      async canary() {
        const said = await talk(program, call(['arg=cat', soon], 'tweet'), true);
        if (!said.includes('tweet')) throw new Error(`the canary gave ${JSON.stringify(said)}`);
      },
      vitals: async () => ({ ...(await vitalsOf(process.pid)), delayMs: 0 }),
      close: () => Promise.resolve(),
    };
  },
};

async function build(folder: string): Promise<string> {
  const program = join(folder, 'agent');
  const sources = (await readdir(SOURCES)).filter((name) => name.endsWith('.c'));
  execFileSync(
    'cc',
    ['-std=c11', '-g', '-O1', SANITIZERS, '-fno-sanitize-recover=all', '-o', program, ...sources],
    { cwd: SOURCES },
  );
  return program;
}

/** Starts an agent, writes this to it and goes away; resolves with what it said. @throws Error where it ends as none should */
async function talk(program: string, bytes: Uint8Array, waits = false): Promise<string> {
  const prefix = [
    '--ro-bind',
    '/',
    '/',
    '--dev',
    '/dev',
    '--proc',
    '/proc',
    '--tmpfs',
    '/tmp',
    '--ro-bind',
    program,
    '/tmp/agent',
  ];
  const child = spawn('bwrap', [...prefix, '--unshare-all', '--die-with-parent', '--', '/tmp/agent'], {
    env: {
      PATH: process.env.PATH,
      ASAN_OPTIONS: 'exitcode=77:detect_leaks=0',
      UBSAN_OPTIONS: 'exitcode=77:print_stacktrace=1',
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  let complaint = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    said += text;
    // DONE of the canary's call is the last that comes.
    if (waits && said.includes('\x00\x00\x00\x06\x14')) child.stdin.end();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.write(bytes);
  if (!waits) child.stdin.end();
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(late);
  if (code === null || !RIGHT_CODES.includes(code)) {
    throw new Error(`the agent ended with ${code ?? signal ?? ''}: ${complaint.slice(0, 3000)}`);
  }
  return said;
}
