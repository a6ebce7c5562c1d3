import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { ago, bytes, duration, Output } from '../../cli/src/output.js';
import { changeSettings } from '../../cli/src/project.js';

describe('Output', () => {
  function output(env: Record<string, string> = {}, isTTY = false, json = false): [Output, () => string] {
    const stdout = Object.assign(new PassThrough(), { isTTY });
    const shell = { env, stdin: new PassThrough(), stdout, stderr: new PassThrough() };
    return [new Output(shell, json), () => String(stdout.read() ?? '')];
  }

  it('aligns the columns of a table, numbers to the right', () => {
    const [out] = output();
    const table = out.table(
      ['NAME', '>COUNT', 'END'],
      [
        ['a', '7', ''],
        ['longer', '1234', 'x'],
      ],
    );
    expect(table).to.equal('NAME    COUNT  END\na           7\nlonger   1234  x');
  });

  it('ends a result with a newline on a terminal, and leaves it to the byte elsewhere', () => {
    for (const [isTTY, result, shown] of [
      [true, 'x', 'x\n'],
      [true, 'x\n', 'x\n'],
      [true, '', ''],
      [false, 'x', 'x'],
    ] as const) {
      const [out, read] = output({}, isTTY);
      out.result(Buffer.from(result));
      expect(read()).to.equal(shown);
    }
  });

  it('colours statuses on a terminal, and not where NO_COLOR is set', () => {
    expect(output({}, true)[0].table(['S'], [['DONE']])).to.contain('\u001b[32mDONE');
    expect(output({ NO_COLOR: '1' }, true)[0].table(['S'], [['DONE']])).to.equal('S\nDONE');
    expect(output({}, false)[0].table(['S'], [['DONE']])).to.equal('S\nDONE');
  });

  it('does not let what the cluster says command the terminal', () => {
    expect(output()[0].table(['S'], [['\u001b[2J']])).to.equal('S\n\\x1b[2J');
    expect(output()[0].fields({ name: '\u0007' })).to.equal('name  \\x07');
  });

  it('shows people a text and programs one line of JSON', () => {
    const [forPeople, people] = output();
    forPeople.show({ n: 1 }, () => 'one');
    expect(people()).to.equal('one\n');
    const [forPrograms, programs] = output({}, false, true);
    forPrograms.show({ n: 1 }, () => 'one');
    expect(programs()).to.equal('{"n":1}\n');
  });

  it('says times and sizes in units for people', () => {
    expect([0.4231, 12.6, 1500, 90_000, 9e6].map(duration)).to.deep.equal([
      '0.42 ms',
      '13 ms',
      '1.5 s',
      '2 min',
      '3 h',
    ]);
    expect([5, 2048, 5 * 1024 ** 2].map(bytes)).to.deep.equal(['5 B', '2.0 KiB', '5.0 MiB']);
    const now = Date.parse('2026-01-02T00:00:10Z');
    expect(ago('2026-01-02T00:00:09.500Z', now)).to.equal('now');
    expect(ago('2026-01-02T00:00:00Z', now)).to.equal('10 s ago');
    expect(ago('2025-01-02T00:00:00Z', now)).to.equal('2025-01-02');
  });
});

describe('--set', () => {
  it('changes settings, also inside of them', () => {
    const changes = [
      'lifecycle=hot',
      'timeoutMs=5',
      'env.A=1',
      'env.B=x=y',
      'retry.attempts=3',
      'network=bridge',
    ];
    expect(changeSettings({ env: { A: '0', C: 'c' }, pids: 9 }, changes)).to.deep.equal({
      env: { A: '1', B: 'x=y', C: 'c' },
      pids: 9,
      lifecycle: 'hot',
      timeoutMs: 5,
      network: 'bridge',
      retry: { attempts: 3, backoffMs: 1000 },
    });
  });

  for (const change of ['timeoutMs', '=5', 'timeoutMs=soon', 'speed=9', '__proto__.x=1', 'env.1=x']) {
    it(`refuses ${change}`, () => {
      expect(() => changeSettings({}, [change])).to.throw(/^--set/);
    });
  }
});
