import { expect } from 'chai';
import { workbench } from './workbench.js';

describe('panal dev', function () {
  this.slow(10_000);
  const bench = workbench();

  it('deploys and calls again after each change, until Ctrl-C', async () => {
    await bench().output('init', 'nodejs', 'live');
    const run = bench().start(['dev', 'live', '{"name":"Ana"}']);
    await run.says(/^\{"greeting":"Hello, Ana!"\}$/m);
    await bench().write({ 'live/handler.mjs': 'export default ({ name }) => `Good night, ${name}`' });
    await run.says(/^Good night, Ana$/m);
    await bench().write({ 'live/sub/text.mjs': 'export const text = "in a new folder"' });
    await run.says(/live version 3/);
    await bench().write({
      'live/handler.mjs': 'import { text } from "./sub/text.mjs"; export default () => text;',
    });
    await run.says(/^in a new folder$/m);
    await bench().write({ 'live/sub/text.mjs': 'export const text = "changed there"' });
    await run.says(/^changed there$/m);
    run.child.kill('SIGINT');
    expect((await run.end()).code).to.equal(0);
  });

  it('shows what is wrong, and goes on', async () => {
    await bench().deployObedient('wrong');
    const run = bench().start(['dev', 'wrong', '{"fail":"on purpose"}']);
    await run.says(/FAILED: FUNCTION_FAILED/);
    await bench().write({ 'wrong/panal.json': '{"name":"wrong"' });
    await run.says(/panal.json: .*JSON/);
    await bench().write({
      'wrong/panal.json': '{"name":"wrong","runtime":"noderuntime","settings":{"lifecycle":"hot"}}',
      'wrong/handler.mjs': 'export default () => "mended"',
    });
    await run.says(/^mended$/m);
    run.child.kill('SIGINT');
    expect((await run.end()).code).to.equal(0);
  });
});
