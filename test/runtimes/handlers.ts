import type { Language } from './loop-process.js';

/** The same small handler in each language: `do` says what a call is to try out. */
export const VARIOUS: Record<Language, string> = {
  Python: `
import asyncio, os, subprocess, sys

async def later(value):
    await asyncio.sleep(0)
    return value

class Bad(Exception):
    pass

def handler(params, context):
    if isinstance(params, bytes):
        return b"bytes " + params
    if isinstance(params, str):
        return "text " + params
    do = params.get("do")
    if do == "context":
        assert context.callNum == context["callNum"]
        return dict(context)
    if do == "text":
        return "olé\\n"
    if do == "bytes":
        return bytes([0, 255, 10])
    if do == "nothing":
        return None
    if do == "later":
        return later(["later"])
    if do == "print":
        print("to stdout")
        print("to stderr", file=sys.stderr)
        sys.stdout.write("no newline")
        return 1
    if do == "stray":
        os.write(1, b"stray bytes")
        subprocess.run(["echo", "stray child"])
        return 1
    if do == "read stdin":
        return sys.stdin.read()
    if do == "environment":
        return dict(os.environ)
    if do == "raise":
        raise Bad("a bad roll\\nin two lines")
    if do == "unserialisable":
        return {"a": object()}
    if do == "not a number":
        return float("nan")
    if do == "big":
        return "0123456789abcdef" * (params["mib"] << 16)
    if do == "exit":
        sys.stdout.write("last words")
        sys.exit(3)
    return params
`,
  'Node.js': `
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

export default (params, context) => {
  if (Buffer.isBuffer(params)) return Buffer.concat([Buffer.from('bytes '), params]);
  if (typeof params === 'string') return 'text ' + params;
  switch (params.do) {
    case 'context':
      return context;
    case 'text':
      return 'olé\\n';
    case 'bytes':
      return Buffer.from([0, 255, 10]);
    case 'nothing':
      return undefined;
    case 'later':
      return new Promise((resolve) => setImmediate(resolve, ['later']));
    case 'print':
      console.log('to stdout');
      console.error('to stderr');
      process.stdout.write('no newline');
      return 1;
    case 'stray':
      fs.writeSync(1, 'stray bytes');
      execFileSync('echo', ['stray child'], { stdio: 'inherit' });
      return 1;
    case 'read stdin':
      return fs.readFileSync(0, 'utf8');
    case 'environment':
      return process.env;
    case 'raise':
      throw new RangeError('a bad roll\\nin two lines');
    case 'unserialisable':
      return { a: 1n };
    case 'not a number':
      return () => 1;
    case 'big':
      return '0123456789abcdef'.repeat(params.mib << 16);
    case 'exit':
      process.stdout.write('last words');
      process.exit(3);
  }
  return params;
};
`,
};

/** Declared async, and keeps something between its calls. */
export const COUNTING: Record<Language, string> = {
  Python: `
import asyncio
count = 0
print("loading", end="")
async def handler(params, context):
    global count
    await asyncio.sleep(0)
    count += 1
    return count
`,
  'Node.js': `
let count = 0;
console.log('loading');
export default async function () {
  await new Promise(setImmediate);
  return ++count;
}
`,
};

/** Handlers that cannot be loaded, each with what stderr says then. */
export const UNLOADABLE: Record<Language, Record<string, string>> = {
  Python: {
    'No module named .nowhere.': 'import nowhere\n',
    SyntaxError: 'def handler(:\n',
    'handler.py must define handler': 'def other(params, context): pass\n',
    SystemExit: 'import sys\nsys.exit(0)\n',
  },
  'Node.js': {
    'Cannot find package .nowhere.': "import 'nowhere';\n",
    SyntaxError: 'export default (\n',
    'handler.mjs must export default': 'export const other = 1;\n',
  },
};
