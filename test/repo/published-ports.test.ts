import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { load, loadAll } from 'js-yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(ROOT + file, 'utf8');

interface Service {
  ports?: unknown[];
  environment?: Record<string, string | null>;
}
const servicesIn = (file: string): Record<string, Service> =>
  (load(read(file)) as { services: Record<string, Service> }).services;

const composeFiles = [
  'docker-compose.yml',
  ...readdirSync(`${ROOT}hub-deployment`, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(^|\/)docker-compose.*\.yml$/.test(file))
    .map((file) => `hub-deployment/${file}`),
];

describe('The files for deployment', () => {
  it('publish ports of Compose for this machine alone, unless a variable says otherwise', () => {
    expect(composeFiles).to.include.members([
      'hub-deployment/faas/docker-compose.yml',
      'hub-deployment/gateway/nginx/docker-compose.yml',
    ]);
    for (const file of composeFiles) {
      const ports = Object.values(servicesIn(file)).flatMap((service) => service.ports ?? []);
      expect(ports, file).not.to.deep.equal([]);
      for (const port of ports) {
        expect(port, file)
          .to.be.a('string')
          .that.matches(/^\$\{PANAL_(\w+_)?BIND:-127\.0\.0\.1\}:/);
      }
    }
  });

  it('ask for credentials where ports cannot be kept to one machine', () => {
    const { broker, registry, worker } = servicesIn('hub-deployment/swarm/docker-stack.yml');
    const login = { auth: '/run/secrets/registry_auth', users: '/run/secrets/registry_htpasswd' };
    expect(registry?.environment).to.include({
      REGISTRY_AUTH: 'htpasswd',
      REGISTRY_AUTH_HTPASSWD_PATH: login.users,
    });
    expect(worker?.environment).to.include({ FAAS_REGISTRY_AUTH: login.auth });
    expect(broker?.environment?.FAAS_AUTH).to.equal('${PANAL_AUTH:-required}');
    const manifests = loadAll(read('hub-deployment/kubernetes/broker.yaml')) as {
      kind: string;
      spec: { template?: { spec: { containers: { env: unknown[] }[] } } };
    }[];
    const pod = manifests.find(({ kind }) => kind === 'StatefulSet')?.spec.template?.spec;
    expect(pod?.containers[0]?.env).to.deep.include({ name: 'FAAS_AUTH', value: 'required' });
  });
});
