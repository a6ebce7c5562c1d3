/** A broker's calls in a process of their own: settles one, and dies while its event is delivered. */
import { setImmediate as turn } from 'node:timers/promises';
import { makeStore } from '@panal/db';
import { pino } from 'pino';
import { Calls } from '../../broker/src/calls/calls.js';
import { ScriptedDispatch } from '../support/scripted-dispatch.js';
import { runtimeSpec, versionOf } from '../support/specs.js';
import { outcomeOf } from './outcomes.js';

const store = makeStore(process.argv[2] ?? '', { durability: 'fsync' });
await store.open();
const dispatch = new ScriptedDispatch();
const calls = new Calls({
  store,
  dispatch,
  policy: { attempts: 1, backoffMs: 0 },
  maxQueue: 10,
  recoveryMs: 0,
  log: pino({ level: 'silent' }),
  subscribers: [
    {
      name: 'listener',
      wants: () => true,
      async deliver() {
        console.log('told');
        await new Promise(() => undefined);
      },
    },
  ],
});
await calls.recover();
const input = { kind: 'json' as const, bytes: Buffer.from('{}') };
await calls.accept(versionOf(runtimeSpec('dice')), input, { awaited: false });
while (dispatch.jobs.length === 0) await turn();
for (const job of dispatch.jobs) {
  calls.attempts.started(job, 'w1');
  await calls.attempts.ended(job, outcomeOf(job));
}
