import { expect } from 'chai';
import { logView } from '../../cli/src/log-view.js';

describe('logView', () => {
  const view = logView('broker', 0, false);
  const line = (entry: object): string => view(JSON.stringify({ level: 30, time: 0, ...entry }));

  it('shows time, name, level and message of a pino line', () => {
    expect(line({ pid: 1, hostname: 'here', msg: 'listening' })).to.match(
      /^\d\d:00:00\.000 broker {4}info {2}listening$/,
    );
  });

  it('shows further fields behind the message', () => {
    const shown = line({ msg: 'settled', callNum: 7, worker: 'w 1', status: 'DONE' });
    expect(shown).to.match(/settled callNum=7 worker="w 1" status=DONE$/);
  });

  it('shows the stack of an error below its line', () => {
    const shown = line({ level: 50, msg: 'failed', err: { message: 'no', stack: 'Error: no\n    at x' } });
    expect(shown.split('\n').slice(1)).to.deep.equal(['    Error: no', '        at x']);
    expect(shown).to.contain('error failed');
  });

  it('shows a line that is not from pino as it is', () => {
    for (const text of ['plain words', '{broken', '', 'null'])
      expect(view(text)).to.equal(`${' '.repeat(13)}broker    ${text}`);
  });

  it('does not let what is logged command the terminal', () => {
    const shown = [line({ msg: '\u001b[2J\u009b', field: '\u001b]0;x\u0007' }), view('\u001b[2J')].join('');
    expect(shown).not.to.match(/\p{Cc}/u);
    expect(shown).to.contain('\\x1b[2J\\x9b');
  });

  it('colours names and levels where colours are wanted', () => {
    expect(logView('broker', 0, true)('hello')).to.contain('\u001b[36mbroker');
  });
});
