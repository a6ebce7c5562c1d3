import { createServer, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { ConfigError, readConfig } from '@panal/protocol';
import { expect } from 'chai';
import { clientAddress } from '../../broker/src/http/users/client-address.js';

describe("A client's address", () => {
  let port: number;
  let seen: (incoming: IncomingMessage) => void;
  const server = createServer((incoming, outgoing) => {
    seen(incoming);
    outgoing.end();
  });
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  after(() => server.close());

  /** The address found for a request from 127.0.0.1 with these `X-Forwarded-For` headers. */
  async function addressOf(trusted: string, ...forwarded: string[]): Promise<string> {
    const { FAAS_TRUSTED_PROXIES } = readConfig({ FAAS_TRUSTED_PROXIES: trusted });
    const incoming = new Promise<IncomingMessage>((resolve) => (seen = resolve));
    const headers = forwarded.length > 0 ? { 'X-Forwarded-For': forwarded } : {};
    request({ port, host: '127.0.0.1', headers, agent: false }).end();
    return clientAddress(FAAS_TRUSTED_PROXIES)(await incoming);
  }

  it('is that of who is connected, unless a proxy is trusted', async () => {
    expect(await addressOf('')).to.equal('127.0.0.1');
    expect(await addressOf('', '192.0.2.1')).to.equal('127.0.0.1');
    expect(await addressOf('10.0.0.0/8, ::1', '192.0.2.1')).to.equal('127.0.0.1');
    expect(await addressOf('127.0.0.1')).to.equal('127.0.0.1');
  });

  it('is the last one forwarded that is no trusted proxy', async () => {
    expect(await addressOf('127.0.0.1', '192.0.2.1')).to.equal('192.0.2.1');
    expect(await addressOf('127.0.0.1', '6.6.6.6, 192.0.2.1')).to.equal('192.0.2.1');
    expect(await addressOf('127.0.0.1', '6.6.6.6', '192.0.2.1')).to.equal('192.0.2.1');
    expect(await addressOf('127.0.0.0/8,10.0.0.0/8', '192.0.2.1, 10.1.2.3,10.4.5.6')).to.equal('192.0.2.1');
    expect(await addressOf('127.0.0.1,2001:db8::/32', '::ffff:192.0.2.1, 2001:db8::7')).to.equal('192.0.2.1');
    expect(await addressOf('0.0.0.0/0', '192.0.2.1, 10.1.2.3')).to.equal('192.0.2.1');
  });

  it('is that of the proxy which forwarded no address', async () => {
    for (const odd of ['', 'unknown', ',', '_hidden', '192.0.2.1:80', '999.1.1.1', '<script>']) {
      expect(await addressOf('127.0.0.1', odd)).to.equal('127.0.0.1');
      expect(await addressOf('127.0.0.0/8', `6.6.6.6, ${odd}`)).to.equal('127.0.0.1');
    }
  });

  it('is found with settings that are well-formed only', () => {
    const bad = ['localhost', '10.0.0.0/33', '::1/129', '10.0.0.0/8/8', '10.0.0.0/x', '10.0.0.0/', ',', '/8'];
    for (const each of bad) {
      expect(() => readConfig({ FAAS_TRUSTED_PROXIES: each }), each).to.throw(
        ConfigError,
        'FAAS_TRUSTED_PROXIES must be',
      );
    }
  });
});
