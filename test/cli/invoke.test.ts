import { expect } from 'chai';
import { eventually } from '../../testkit/wait.js';
import { workbench } from './workbench.js';

describe('panal invoke', function () {
  this.slow(10_000);
  const bench = workbench();

  before(() => bench().deployObedient('f'));

  it('puts out the result to the byte, also where it is no text', async () => {
    const { code, bytes } = await bench().run('invoke', 'f', '{"bytes":[0,255,10,13,128]}');
    expect({ code, bytes }).to.deep.equal({ code: 0, bytes: Buffer.from([0, 255, 10, 13, 128]) });
  });

  it('reads parameters from stdin', async () => {
    const { stdout } = await bench().start(['invoke', 'f', '-'], { input: '{"give":"from stdin"}\n' }).end();
    expect(stdout).to.equal('from stdin');
  });

  it('sends parameters, and shows them, as they are written', async () => {
    const params = '{"give":"exact", "id":9007199254740993,"f":1.0,"big":1e400,"f":-0}';
    for (const [args, input] of [
      [['invoke', 'f', params], ''],
      [['invoke', 'f', '-'], ` ${params}\n`],
    ] as const) {
      const { stdout } = await bench()
        .start([...args, '--json'], { input })
        .end();
      expect(stdout)
        .to.contain(`"params":${params},`)
        .and.to.match(/^\{.*\}\n$/);
      const { callNum } = JSON.parse(stdout) as { callNum: number };
      expect(await bench().output('call', String(callNum))).to.contain(params);
      expect(await bench().output('call', String(callNum), '--json')).to.equal(stdout);
      expect(await bench().output('calls', '--limit', '1', '--json')).to.contain(`"params":${params},`);
    }
  });

  it('refuses parameters that are not UTF-8', async () => {
    const input = Buffer.from('"a\u00f1o"', 'latin1');
    const { code, stderr } = await bench().start(['invoke', 'f', '-'], { input }).end();
    expect({ code, stderr }).to.deep.equal({
      code: 2,
      stderr: 'panal: not UTF-8, as JSON must be — --raw takes any bytes\n',
    });
  });

  it('sends bytes as they are with --raw', async () => {
    await bench().write({
      'echo/handler.mjs': 'export default (params) => { console.log("seen"); return params; }',
      'echo/panal.json': '{"name":"echo","runtime":"noderuntime","settings":{"lifecycle":"hot"}}',
    });
    await bench().output('deploy', 'echo');
    const input = Buffer.from([1, 0, 254, 255]);
    const { code, bytes, stderr } = await bench().start(['invoke', 'echo', '-', '--raw'], { input }).end();
    expect({ code, bytes, stderr }).to.deep.equal({ code: 0, bytes: input, stderr: 'seen\n' });
  });

  it('ends with 1 where the function fails, and says how', async () => {
    const { code, stdout, stderr } = await bench().run('invoke', 'f', '{"log":"before","fail":"on purpose"}');
    expect({ code, stdout }).to.deep.equal({ code: 1, stdout: '' });
    expect(stderr).to.match(/^before\n/);
    expect(stderr).to.match(/\npanal: call \d+ FAILED: FUNCTION_FAILED: .*\n$/);
    const raw = await bench().run('invoke', 'f', '{"fail":"on purpose"}', '--raw');
    expect(raw.code).to.equal(1);
    expect(raw.stderr).to.match(/\npanal: call \d+ FAILED: FUNCTION_FAILED: .*\n$/);
    const json = await bench().run('invoke', 'f', '{"fail":"on purpose"}', '--json');
    expect(json.code).to.equal(1);
    expect(JSON.parse(json.stdout)).to.include({ status: 'FAILED' });
  });

  it('does not wait with --async', async () => {
    const number = (await bench().output('invoke', 'f', '{"give":"later"}', '--async')).trim();
    expect(number).to.match(/^\d+$/);
    await eventually('its end', async () => /^later$/m.test(await bench().output('call', number)));
  });

  it('cancels the call at Ctrl-C', async () => {
    const run = bench().start(['invoke', 'f', '{"sleep":60000}']);
    const number = await running();
    run.child.kill('SIGINT');
    const { code, stdout, stderr } = await run.end();
    expect({ code, stdout, stderr }).to.deep.equal({
      code: 130,
      stdout: '',
      stderr: `panal: call ${number} cancelled\n`,
    });
    await cancelled(number);
  });

  it('cancels a raw call at Ctrl-C, too', async () => {
    const run = bench().start(['invoke', 'f', '{"sleep":60000}', '--raw']);
    const number = await running();
    run.child.kill('SIGINT');
    const { code, stdout, stderr } = await run.end();
    expect({ code, stdout, stderr }).to.deep.equal({ code: 130, stdout: '', stderr: '' });
    await cancelled(number);
  });

  it('cancels the call when its time is over', async () => {
    const { code, stderr } = await bench().run('invoke', 'f', '{"sleep":60000}', '--timeout', '0.5');
    expect(code).to.equal(1);
    expect(stderr).to.match(/^panal: call \d+ cancelled\npanal: no end within 0.5 s\n$/);
  });

  it('cancels a call by its number', async () => {
    const number = (await bench().output('invoke', 'f', '{"sleep":60000}', '--async')).trim();
    expect(await bench().output('cancel', number)).to.match(new RegExp(`^call ${number} `));
    await cancelled(number);
    const again = await bench().run('cancel', number);
    expect(again.code).to.equal(1);
  });

  it('follows the logs of a call until it ends', async () => {
    const number = (await bench().output('invoke', 'f', '{"log":"at once","sleep":1500}', '--async')).trim();
    const { code, stdout, stderr } = await bench().run('logs', number, '--follow');
    expect({ code, stdout, stderr }).to.deep.equal({
      code: 0,
      stdout: 'at once\n',
      stderr: `call ${number} DONE\n`,
    });
  });

  it('shows logs while the call runs', async () => {
    const run = bench().start(['invoke', 'f', '{"log":"alive","sleep":60000}']);
    await run.says(/^alive$/m);
    run.child.kill('SIGINT');
    expect((await run.end()).code).to.equal(130);
  });

  it('is quiet where nobody reads what it puts out', async () => {
    const run = bench().start(['invoke', 'f', '{"sleep":300,"give":"for nobody"}']);
    run.child.stdout?.destroy();
    const { stderr } = await run.end();
    expect(stderr).to.equal('');
  });

  /** The number of the call that runs. */
  async function running(): Promise<number> {
    return await eventually('a running call', async () => {
      const calls = (await bench().json('calls', '--status', 'RUNNING')) as { callNum: number }[];
      return calls[0]?.callNum;
    });
  }

  async function cancelled(number: number | string): Promise<void> {
    await eventually('the call is cancelled', async () =>
      /^status +CANCELLED$/m.test(await bench().output('call', String(number))),
    );
  }
});
