import { expect } from 'chai';
import { Passwords } from '../../broker/src/users/passwords.js';
import { processorMs } from '../support/processor-time.js';

describe('Passwords', () => {
  const passwords = new Passwords();

  it('are right when they are what was hashed', async () => {
    const kept = await passwords.hash('correct horse');
    expect(await passwords.isRight('correct horse', kept)).to.equal(true);
    expect(await passwords.isRight('correct horsf', kept)).to.equal(false);
    expect(await passwords.isRight('', kept)).to.equal(false);
  });

  it('are salted, and kept with the cost that they were hashed at', async () => {
    const [one, other] = await Promise.all([passwords.hash('same'), passwords.hash('same')]);
    expect(one.salt).not.to.equal(other.salt);
    expect(one.hash).not.to.equal(other.hash);
    expect(one).to.include({ N: 32_768, r: 8, p: 1 });
    expect(JSON.stringify(one)).not.to.contain('same');
    const cheap = { ...one, N: 1024, hash: 'AAAA' };
    expect(await passwords.isRight('same', cheap)).to.equal(false);
  });

  it('are never right for nobody, which takes as long as for a user', async () => {
    const kept = await passwords.hash('right');
    const cost = (record: typeof kept | undefined): Promise<number> =>
      processorMs(async () => {
        expect(await passwords.isRight('wrong', record)).to.equal(false);
      });
    const [somebody, nobody] = [await cost(kept), await cost(undefined)];
    expect(nobody / somebody)
      .to.be.above(0.5)
      .and.below(2);
  });
});
