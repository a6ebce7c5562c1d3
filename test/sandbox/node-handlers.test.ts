import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openRig } from './process-rig.js';
import { request, summary, text } from './requests.js';

const BUILD = fileURLToPath(new URL('../../runtimes/nodejs/build.mjs', import.meta.url));
const runtime = { image: 'noderuntime', handler: 'exec node "$FAAS_RUNTIME_DIR/loop.mjs"' };

describe('Handlers of the Node.js runtime', () => {
  const rig = openRig(() => undefined);
  before(() => execFileSync(process.execPath, [BUILD]));

  for (const [what, files, result] of [
    ['handler.mjs', { 'handler.mjs': 'export default () => "mjs";' }, 'mjs'],
    ['handler.js, a module by its syntax', { 'handler.js': 'export default () => "js";' }, 'js'],
    [
      'handler.js, a module by its package.json',
      {
        'handler.js': 'export default () => import.meta.url.slice(-2);',
        'package.json': '{"type":"module"}',
      },
      'js',
    ],
    [
      'handler.js of CommonJS, with a package beside it',
      {
        'handler.js': 'const one = require("one"); module.exports = async () => one;',
        'node_modules/one/index.js': 'module.exports = "one";',
      },
      'one',
    ],
    ['handler.cjs', { 'handler.cjs': 'module.exports = () => require("node:path").sep;' }, '/'],
    [
      'handler.cjs that was made of a module',
      {
        'handler.cjs':
          'Object.defineProperty(exports, "__esModule", { value: true });\nexports.default = () => "made";',
      },
      'made',
    ],
    [
      'handler.ts, with types and another file',
      {
        'handler.ts':
          'import { twice, type Pair } from "./lib/twice.ts";\n' +
          'interface Params { n: number }\n' +
          'export default async ({ n }: Params): Promise<Pair> => twice(n);\n',
        'lib/twice.ts':
          'export type Pair = [number, number];\nexport const twice = (n: number): Pair => [n, n];\n',
      },
      '[7,7]',
    ],
    [
      'handler.mjs before any other',
      { 'handler.mjs': 'export default () => "first";', 'handler.js': 'throw new Error("not this one");' },
      'first',
    ],
  ] as const) {
    it(`are loaded from ${what}`, async () => {
      const sandbox = await rig().start('hot', { files, runtime, settings: { memoryMb: 256 } });
      try {
        const ended = await sandbox.run(request({ body: '{"n":7}' }));
        expect(summary(ended)).to.include({ status: 'DONE', result });
      } finally {
        await sandbox.remove();
      }
    });
  }

  it('have in their logs what programs print that inherit stdout', async () => {
    const code = `import { spawn } from 'node:child_process';
      import { once } from 'node:events';
      export default async () => void await once(spawn('echo', ['said'], { stdio: 'inherit' }), 'exit');`;
    const made = { files: { 'handler.mjs': code }, runtime, settings: { memoryMb: 256 } };
    const sandbox = await rig().start('hot', made);
    try {
      for (let times = 0; times < 2; times += 1) {
        expect(text((await sandbox.run(request({ body: '{}' }))).logs)).to.equal('said\n');
      }
    } finally {
      await sandbox.remove();
    }
  });

  for (const [what, files, message] of [
    ['TypeScript that is none', { 'handler.ts': 'const a = 1;\nconst b: = 2;\n' }, /handler\.ts, line 2\)/],
    ['a wrong export', { 'handler.cjs': 'exports.other = 1;' }, /handler\.cjs must set module\.exports to /],
    ['no handler', { 'other.mjs': '' }, /there is none of handler\.mjs, handler\.js, /],
  ] as const) {
    it(`say what is wrong with ${what}`, async () => {
      const refused = await rig()
        .start('hot', { files, runtime, settings: { memoryMb: 256 } })
        .catch((error: unknown) => error);
      expect(refused).to.have.nested.property('error.message').that.matches(message);
    });
  }
});
