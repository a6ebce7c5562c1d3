import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { pino } from 'pino';
import { type BrokerHandlers, PROTOCOL_VERSION } from '@panal/transport';
import { Holders, type Holder } from '../../broker/src/scheduling/holders.js';
import { ZmqBrokerTransport, zmqBrokerMessageSchema } from '@panal/transport/zeromq';
import { encodeCall } from '../../worker/src/contracts/protocol/frames.js';
import { builtAgent } from '../agent/rig.js';
import { withCompiler } from '../support/groups.js';
import { ScriptedWorker } from '../support/scripted-worker.js';
import { eventually } from '../../testkit/wait.js';

const STOPPED = 2;

withCompiler('The agent', () => {
  it('stops a call at once whose deadline is before all time', async () => {
    const { PATH } = process.env;
    const agent = spawn(builtAgent(), { env: { PATH }, stdio: ['pipe', 'pipe', 'inherit'] });
    const fields = ['arg=sleep', 'arg=60', 'deadline=-9223372036854775808'];
    agent.stdin.write(Buffer.concat(encodeCall(fields, Buffer.alloc(0))));
    const said: Buffer[] = [];
    agent.stdout.on('data', (bytes: Buffer) => said.push(bytes));
    // The call's DONE, with an exit code and the reason: stopped.
    const done = Buffer.from([0x14, 0, 0, 0, 137, STOPPED]);
    await eventually('the call is stopped', () => Buffer.concat(said).includes(done));
    agent.stdin.end();
    await once(agent, 'exit');
  });
});

describe('A broker', () => {
  it('cuts off who greets with more than a greeting can be, and hears the others', async () => {
    const link = new ZmqBrokerTransport({
      address: 'tcp://127.0.0.1:0',
      curve: undefined,
      log: pino({ level: 'silent' }),
    });
    const heard: string[] = [];
    const events: BrokerHandlers = {
      onMessage: (_peer, { message }) => {
        if (message.type === 'hello') heard.push(message.worker);
      },
      onReply: () => undefined,
      onForeign: () => undefined,
      onRequest: async () => undefined,
    };
    await link.open(events);
    const [hostile, right] = [
      new ScriptedWorker('hostile', link.port),
      new ScriptedWorker('right', link.port),
    ];
    hostile.hello({ leases: ['x'.repeat(20 * 1024 * 1024)] });
    hostile.hello();
    right.hello();
    await eventually('the right one is heard', () => heard.includes('right'));
    await eventually('the other comes back', () => heard.includes('hostile'));
    expect(heard).to.have.members(['right', 'hostile']);
    hostile.close();
    right.close();
    await link.close();
  });

  it('notes no more of what a worker says it holds than a worker can hold', () => {
    const worker: Holder = { id: 'w', holds: new Map() };
    const holders = new Holders();
    for (let key = 0; key < 100_100; key++) holders.set(worker, `key ${key}`, 1);
    expect(worker.holds.size).to.equal(100_000);
    holders.set(worker, 'key 0', 0);
    holders.set(worker, 'another', 2);
    expect(holders.oneFor('another', () => true)).to.equal(worker);
  });
});

describe('A worker', () => {
  it('takes no welcome whose times no clock can keep', () => {
    const welcome = {
      type: 'welcome',
      protocol: PROTOCOL_VERSION,
      broker: 'b',
      replyPort: 1,
      bundlePort: 2,
      exposed: false,
    };
    for (const [heartbeatMs, leaseMs, taken] of [
      [1000, 5000, true],
      [60_000, 600_000, true],
      [2 ** 31, 5000, false],
      [1000, 2 ** 53, false],
    ] as const) {
      expect(zmqBrokerMessageSchema.safeParse({ ...welcome, heartbeatMs, leaseMs }).success).to.equal(taken);
    }
  });
});
