import { ConfigError } from '@panal/protocol';
import { expect } from 'chai';
import { upstreamFrom } from '../../worker/src/egress/environment.js';
import { FunctionError } from '../../worker/src/errors.js';

describe('The proxy through which dependencies go on', () => {
  it('may be named without a scheme, as for other programs', () => {
    for (const https_proxy of ['proxy.example:3128', 'http://proxy.example:3128/']) {
      const expected = { host: 'proxy.example', port: 3128, authorization: undefined };
      expect(upstreamFrom(undefined, { https_proxy }, {})).to.deep.equal({ ...expected, checked: false });
      expect(upstreamFrom(undefined, {}, { https_proxy })).to.deep.equal({ ...expected, checked: true });
    }
  });

  it('has the credentials of its URL', () => {
    const found = upstreamFrom(undefined, { HTTPS_PROXY: 'us%40er:p%3Ass@proxy' }, {});
    expect(found?.authorization).to.equal(`Basic ${Buffer.from('us@er:p:ss').toString('base64')}`);
  });

  for (const url of [
    'https://secret@proxy',
    'socks5://secret@proxy',
    'http://',
    'http://a:b:c',
    'secret%zz@proxy',
  ]) {
    it(`is refused by the name of its variable if it is ${url}`, () => {
      expect(() => upstreamFrom(undefined, {}, { Https_Proxy: url }))
        .to.throw(FunctionError, /^the variable Https_Proxy in env of the function (must be|has a user)/)
        .with.property('error')
        .that.includes({ code: 'DEPENDENCIES_FAILED' });
      expect(() => upstreamFrom(undefined, { https_proxy: url }, {}))
        .to.throw(
          ConfigError,
          /^https_proxy, in the environment of the worker, (must be|has a user)[^\n]*FAAS_DEPS_PROXY/,
        )
        .with.property('message')
        .that.does.not.contain('secret');
    });
  }

  it("is nobody else's if the operator has one", () => {
    const own = { https_proxy: 'socks5://no' };
    expect(upstreamFrom('http://theirs:1', {}, own)).to.include({ host: 'theirs', checked: false });
  });
});
