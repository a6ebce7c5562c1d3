import { Writable } from 'node:stream';
import { expect } from 'chai';
import { pino } from 'pino';
import { curveKeyPair } from 'zeromq';
import { temporaryFolder } from '../support/folder.js';
import { LiveBroker } from '../support/live-broker.js';
import { freePorts } from '../../testkit/ports.js';

describe('A broker that others than its own machine can reach', () => {
  const folder = temporaryFolder();

  /** The errors that a broker with these settings logs at its start. */
  async function errorsOf(settings: Record<string, string>): Promise<string[]> {
    const lines: string[] = [];
    const sink = new Writable({
      write(line: Buffer, _encoding, done) {
        lines.push(line.toString());
        done();
      },
    });
    const broker = await LiveBroker.start(folder(), settings, pino(sink));
    await broker.stop();
    const entries = lines.map((line) => JSON.parse(line) as { level: number; msg: string });
    return entries.filter(({ level }) => level >= 50).map(({ msg }) => msg);
  }

  const everywhere = async (): Promise<string> => `tcp://*:${await freePorts(3)}`;

  it('without credentials says so as an error, with the setting that ends it', async () => {
    for (const HOST of ['0.0.0.0', '::']) {
      const [error, ...others] = await errorsOf({ HOST });
      expect(error).to.contain('FAAS_AUTH=open').and.to.contain('set FAAS_AUTH=required, or HOST=127.0.0.1');
      expect(others).to.deep.equal([]);
    }
  });

  it('over channels without keys says so as an error, with the setting that ends it', async () => {
    const errors = await errorsOf({ ZMQ_BIND_ADDRESS: await everywhere() });
    expect(errors).to.have.length(1);
    expect(errors[0]).to.contain('without CURVE keys').and.to.contain('set FAAS_CURVE_SERVER_SECRET');
  });

  it('says nothing where credentials and keys are asked for, or nobody else reaches it', async () => {
    const { publicKey, secretKey } = curveKeyPair();
    const closed = {
      HOST: '0.0.0.0',
      FAAS_AUTH: 'required',
      ZMQ_BIND_ADDRESS: await everywhere(),
      FAAS_CURVE_SERVER_SECRET: secretKey,
      FAAS_CURVE_SERVER_PUBLIC: publicKey,
    };
    for (const settings of [closed, { HOST: 'localhost' }, {}]) {
      expect(await errorsOf(settings)).to.deep.equal([]);
    }
  });
});
