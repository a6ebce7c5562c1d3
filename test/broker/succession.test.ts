import { expect } from 'chai';
import { Succession } from '../../broker/src/scheduling/succession.js';

describe('Succession', () => {
  const nobody = (): boolean => false;

  it('retires a version once its successor has served, and once only', () => {
    const succession = new Succession();
    succession.replace('v1', 'v2');
    expect(succession.served('v1', nobody)).to.deep.equal([]);
    expect(succession.served('v2', nobody)).to.deep.equal(['v1']);
    expect(succession.served('v2', nobody)).to.deep.equal([]);
  });

  it('retires all that were replaced before one has served', () => {
    const succession = new Succession();
    succession.replace('v1', 'v2');
    succession.replace('v2', 'v3');
    expect(succession.served('v2', nobody)).to.deep.equal([]);
    expect(succession.served('v3', nobody)).to.have.members(['v1', 'v2']);
  });

  it('waits for calls of the old version that are under way', () => {
    const succession = new Succession();
    succession.replace('v1', 'v2');
    expect(succession.served('v2', (id) => id === 'v1')).to.deep.equal([]);
    expect(succession.served('v2', nobody)).to.deep.equal(['v1']);
  });

  it('does not retire a version that came back', () => {
    const succession = new Succession();
    succession.replace('v1', 'v2');
    succession.replace('v2', 'v1');
    expect(succession.served('v2', nobody)).to.deep.equal([]);
    expect(succession.served('v1', nobody)).to.deep.equal(['v2']);
  });

  it('gives what waits for a version that is gone', () => {
    const succession = new Succession();
    succession.replace('v1', 'v2');
    expect(succession.forget('v2')).to.deep.equal(['v1']);
    expect(succession.forget('v2')).to.deep.equal([]);
  });
});
