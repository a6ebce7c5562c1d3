import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ScriptedWorker, type HeardInvoke } from '../../test/support/scripted-worker.js';
import { hostileMessages } from '../messages.js';
import { Site } from '../site.js';
import type { Shot, Target } from '../target.js';

/** How long a call may take to end, in ms, whatever became of its outcomes. */
const SETTLED_MS = 20_000;
const SLOTS = 8;

const call = z.object({ status: z.enum(['DONE', 'FAILED', 'TIMEOUT', 'CANCELLED', 'DEAD']) });
const invocation = JSON.stringify({ funcName: 'job', params: { roll: '4d6' } });

/**
 * Outcomes and logs, from a worker that has calls: each shot answers a call, with that call's own lease where it has
 * one. Afterwards the worker leaves, comes back, and answers as it should, so that every call has to end.
 */
export const replyChannel: Target = {
  name: 'reply channel',
  weight: 8,
  async open({ folder, recording }) {
    // The worker has no heartbeats, and a volley needs every slot.
    const settings = { FAAS_LEASE_MS: '600000', FAAS_SPARE_SLOTS: '0' };
    const site = await Site.open({ folder: await mkdtemp(join(folder, 'site-')), worker: false, settings });
    await site.register('job', { lifecycle: 'warm' });
    const worker = new HostileWorker(site.zmqPort);
    await worker.join();
    return {
      shots: hostileMessages((await recording()).reply.toBroker),
      volley: SLOTS,
      async feed(volley) {
        worker.shots = [...volley];
        const calls = volley.map(() => settles(site.url));
        const settled = Promise.all(calls);
        await Promise.race([worker.hasSaidAll(), settled]);
        await worker.rejoin();
        await settled;
        site.checkSilence();
      },
      canary: () => site.canary(),
      vitals: () => site.vitals(),
      async close() {
        worker.close();
        await site.close();
      },
    };
  },
};

async function settles(url: string): Promise<void> {
  const answer = await fetch(`${url}/invokeFunction?wait=60`, {
    method: 'POST',
    body: invocation,
    signal: AbortSignal.timeout(SETTLED_MS),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`a call was answered ${answer.status} ${text}`);
  call.parse(JSON.parse(text));
}

class HostileWorker {
  shots: Shot[] = [];
  readonly #worker: ScriptedWorker;
  #onSaidAll: (() => void) | undefined;

  constructor(port: number) {
    this.#worker = new ScriptedWorker('hostile', port);
    this.#worker.onInvoke = (invoke) => {
      this.#answer(invoke).catch((error: unknown) => {
        throw error;
      });
    };
  }

  async join(): Promise<void> {
    await this.#worker.join({ slots: SLOTS });
    this.#worker.say(...Array.from({ length: SLOTS }, (_, slot) => ({ type: 'ready' as const, slot })));
  }

  /** What it has and has not handed in is tried again. */
  async rejoin(): Promise<void> {
    this.#worker.say({ type: 'bye' });
    this.#worker.heard.length = 0;
    await this.join();
  }

  async hasSaidAll(): Promise<void> {
    if (this.shots.length === 0) return;
    await new Promise<void>((resolve) => (this.#onSaidAll = resolve));
  }

  close(): void {
    this.#worker.close();
  }

  async #answer(invoke: HeardInvoke): Promise<void> {
    const shot = this.shots.shift();
    if (shot === undefined) {
      await this.#worker.reply(invoke, { free: invoke.slot });
      return;
    }
    await this.#worker.replyFrames(ofCall(shot, invoke));
    if (this.shots.length === 0) this.#onSaidAll?.();
  }
}

/** The message with the names of this call in place of those of the recorded one. */
function ofCall([head = Buffer.alloc(0), ...rest]: Shot, { lease, callNum }: HeardInvoke): Uint8Array[] {
  const text = Buffer.from(head)
    .toString('latin1')
    .replaceAll(/"lease":"[^"]*"/g, `"lease":"${lease}"`)
    .replaceAll(/"callNum":\d+/g, `"callNum":${callNum}`)
    .replaceAll(/"worker":"[^"]*"/g, '"worker":"hostile"');
  return [Buffer.from(text, 'latin1'), ...rest];
}
