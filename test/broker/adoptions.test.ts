import { expect } from 'chai';
import { Adoptions } from '../../broker/src/functions/adoptions.js';
import { Gate } from '../support/gate.js';

describe('Uploaded code that was refused', () => {
  /** What is kept, by the name of the uploaded file; `used` by versions. */
  function keeper(used: string[] = []): { adoptions: Adoptions; kept: Set<string> } {
    const kept = new Set<string>();
    const adoptions = new Adoptions(
      { isBundleUsed: (sha256) => Promise.resolve(used.includes(sha256)) },
      {
        adopt: (file) => {
          kept.add(file);
          return Promise.resolve({ sha256: file, size: 1, format: 'zip' });
        },
        remove: (sha256) => {
          kept.delete(sha256);
          return Promise.resolve();
        },
      },
    );
    return { adoptions, kept };
  }
  const refuse = (): Promise<never> => Promise.reject(new Error('over the quota'));
  const message = (error: unknown): string => String(error);

  it('goes once no other upload could be about to use it, however many there were at once', async () => {
    const { adoptions, kept } = keeper(['good']);
    const gate = new Gate();
    const good = adoptions.adopt('good', () => gate.pass());
    for (const file of ['a', 'b']) {
      expect(await adoptions.adopt(file, refuse).catch(message)).to.contain('over the quota');
    }
    expect([...kept]).to.deep.equal(['good', 'a', 'b']);
    gate.open();
    await good;
    expect([...kept]).to.deep.equal(['good']);
  });

  it('stays where another upload of it was taken meanwhile', async () => {
    const used: string[] = [];
    const { adoptions, kept } = keeper(used);
    const gate = new Gate();
    const taken = adoptions.adopt('same', async () => {
      await gate.pass();
      used.push('same');
    });
    await adoptions.adopt('same', refuse).catch(message);
    gate.open();
    await taken;
    expect([...kept]).to.deep.equal(['same']);
  });
});
