import { tarGz } from '../testkit/archives.js';

const WITNESS = `
import os, socket

def witness(token):
    kind, _, where = os.environ["WITNESS"].partition(":")
    if kind == "file":
        file = os.open(where, os.O_WRONLY | os.O_APPEND)
        os.write(file, (token + "\\n").encode())
        os.close(file)
        return
    host, _, port = where.partition(":")
    with socket.create_connection((host, int(port)), 5) as link:
        link.sendall(token.encode())
`;

const HANDLER = `
import time
from witness import witness

def handler(params, context):
    witness(params["token"])
    time.sleep(params.get("seconds", 0))
    return params["token"][::-1]
`;

const SCRIPT = `
import json, os, sys, time
from witness import witness

params = json.load(sys.stdin)
witness(params["token"])
time.sleep(params.get("seconds", 0))
sys.stdout.write(params["token"][::-1])
`;

/** The functions that are called: one of each lifecycle. Each gives back its token in reverse, so that no two results are alike. */
export const FUNCTIONS = ['hot', 'warm', 'fresh'] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

export const resultOf = (token: string): string => token.split('').reverse().join('');

/** @param witness where a body says that it runs */
export async function registerFunctions(url: string, witness: string): Promise<void> {
  for (const lifecycle of FUNCTIONS) {
    const code =
      lifecycle === 'hot' ? { name: 'handler.py', content: HANDLER } : { name: 'test.py', content: SCRIPT };
    const form = new FormData();
    const settings = {
      lifecycle,
      timeoutMs: '20000',
      network: witness.startsWith('tcp:') ? 'bridge' : 'none',
      env: JSON.stringify({ WITNESS: witness }),
    };
    for (const [field, value] of Object.entries(settings)) form.set(field, value);
    const archive = tarGz([code, { name: 'witness.py', content: WITNESS }]);
    form.set('module', new Blob([new Uint8Array(archive)]), 'module.tar.gz');
    const path = `${url}/registerFunction/pythonruntime/${lifecycle}`;
    const answer = await fetch(path, { method: 'POST', body: form });
    if (answer.status !== 201) throw new Error(`${lifecycle} was not registered: ${await answer.text()}`);
  }
}
