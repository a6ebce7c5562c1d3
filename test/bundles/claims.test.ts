import type { Claim } from '@panal/transport';
import { expect } from 'chai';
import { Claims } from '../../broker/src/bundles/claims.js';
import { ClaimClient } from '../../worker/src/link/claim-client.js';
import { temporaryFolder } from '../support/folder.js';
import { eventually } from '../../testkit/wait.js';
import { Channel, log, requestsAt } from './channel.js';

describe('claims', () => {
  const claim = (holder: string, ms = 100) => ({ type: 'claim' as const, name: 'image', holder, ms });
  const release = (holder: string) => ({ type: 'release' as const, name: 'image', holder });
  let now: number;
  let claims: Claims;

  beforeEach(() => {
    now = 0;
    claims = new Claims(() => now);
  });

  it('are one holder’s at a time', () => {
    expect(claims.claim(claim('a'))).to.equal(true);
    expect(claims.claim(claim('b'))).to.equal(false);
    claims.release(release('b'));
    expect(claims.claim(claim('b'))).to.equal(false);
    claims.release(release('a'));
    expect(claims.claim(claim('b'))).to.equal(true);
  });

  it('lapse, unless they are renewed', () => {
    claims.claim(claim('a'));
    now = 90;
    expect(claims.claim(claim('a'))).to.equal(true);
    now = 150;
    expect(claims.claim(claim('b'))).to.equal(false);
    now = 190;
    expect(claims.claim(claim('b'))).to.equal(true);
  });
});

/** Their clock goes on by 50 ms with each that is granted, and not between. */
class SlowClaims extends Claims {
  now = 0;

  constructor() {
    super(() => this.now);
  }

  override claim(claim: Claim): boolean {
    const granted = super.claim(claim);
    if (granted) this.now += 50;
    return granted;
  }
}

describe('the claims of workers', () => {
  const folder = temporaryFolder();
  let channel: Channel;
  let clients: ClaimClient[];

  beforeEach(async () => {
    channel = new Channel(folder());
    clients = [];
    await channel.store.open();
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await channel.stop();
  });

  function client(port: number, holder: string, options = {}): ClaimClient {
    const made = new ClaimClient({ holder, log, ...options });
    made.connect(requestsAt(port));
    clients.push(made);
    return made;
  }

  it('exclude each other until they are released', async () => {
    const { port } = await channel.serve();
    const [one, two] = [client(port, 'one'), client(port, 'two')];
    const held = await one.take('image');
    expect(await two.take('image')).to.equal(undefined);
    expect(await two.take('another image')).not.to.equal(undefined);
    held?.release();
    await eventually('the other has it', () => two.take('image'));
    expect(await one.take('image')).to.equal(undefined);
  });

  it('outlast the time they are made for while they are held', async () => {
    const claims = new SlowClaims();
    const { port } = await channel.serve(0, { claims });
    const [one, two] = [client(port, 'one', { holdMs: 60 }), client(port, 'two')];
    await one.take('image');
    await eventually('it has been renewed', () => claims.now > 3 * 60);
    expect(await two.take('image')).to.equal(undefined);
  });

  it('lapse when their worker is lost', async () => {
    const { port } = await channel.serve();
    const [one, two] = [client(port, 'one', { holdMs: 100 }), client(port, 'two')];
    await one.take('image');
    one.close();
    await eventually('the other has it', () => two.take('image'));
  });

  it('keep nobody from work where no broker answers', async () => {
    const lonely = client(9, 'one', { answerMs: 20 });
    expect(await lonely.take('image')).not.to.equal(undefined);
  });
});
