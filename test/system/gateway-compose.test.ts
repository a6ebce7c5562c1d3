import { withImage } from '../support/groups.js';
import { ComposeGateway, GATEWAY_IMAGES } from './compose-gateway.js';
import { GATEWAY_CHECKS } from './gateway-checks.js';

for (const kind of ['nginx', 'apisix'] as const) {
  withImage(GATEWAY_IMAGES[kind])(`hub-deployment/gateway/${kind}, in containers`, function () {
    this.timeout(300_000);
    this.slow(60_000);
    let gateway: ComposeGateway;

    before(async () => {
      gateway = await ComposeGateway.start(kind);
    });
    beforeEach(() => gateway.reset());
    after(() => gateway.down());

    for (const { title, run } of GATEWAY_CHECKS) it(title, () => run(gateway));
  });
}
