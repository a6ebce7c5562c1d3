import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { loadAll } from 'js-yaml';
import ts from 'typescript';
import { SETTINGS } from '@panal/protocol';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = `${ROOT}hub-deployment/kubernetes`;

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
  spec?: { selector?: unknown; template?: { metadata: { labels: object }; spec: PodSpec } };
}

interface PodSpec {
  containers: {
    env?: { name: string; value: string }[];
    ports?: { name: string; containerPort: number }[];
    volumeMounts?: { name: string; mountPath: string }[];
  }[];
  volumes?: { name: string; secret?: { secretName: string } }[];
}

interface Kustomization {
  resources: string[];
  images: { name: string }[];
  secretGenerator: { name: string; files: string[] }[];
}

const read = (file: string): unknown[] => loadAll(readFileSync(`${FOLDER}/${file}`, 'utf8'));

/**
 * What the types that are generated from the API's schemas (Kubernetes 1.30) say against manifests: a manifest as a
 * literal may have no field that its type has not.
 */
function against(manifests: readonly Manifest[]): string[] {
  const name = `${ROOT}test/repo/manifests.ts`;
  const text = manifests
    .map((each, at) => {
      const type = `import('kubernetes-types/${each.apiVersion === 'v1' ? 'core/v1' : each.apiVersion.replace('.k8s.io', '')}').${each.kind}`;
      return `export const m${at}: ${type} = ${JSON.stringify(each)};`;
    })
    .join('\n');
  const options: ts.CompilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const real = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...real,
    fileExists: (file) => file === name || real.fileExists(file),
    getSourceFile: (file, ...rest) =>
      file === name
        ? ts.createSourceFile(file, text, ts.ScriptTarget.ES2022)
        : real.getSourceFile(file, ...rest),
  };
  const program = ts.createProgram([name], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('The manifests for Kubernetes', function () {
  this.slow(20_000);
  const kustomization = read('kustomization.yaml')[0] as Kustomization;
  const manifests = kustomization.resources.flatMap((file) => read(file)) as Manifest[];
  const pods = manifests.flatMap(({ spec }) => spec?.template?.spec ?? []);

  it('are what the schemas of its API allow', () => {
    expect(manifests.map(({ kind }) => kind)).to.include.members(['StatefulSet', 'DaemonSet', 'Service']);
    expect(against(manifests)).to.deep.equal([]);
  });

  it('would not pass with a misspelt field, or a value of another type', () => {
    const [broker] = manifests.filter(({ kind }) => kind === 'StatefulSet');
    if (broker === undefined) throw new Error('there is no StatefulSet');
    expect(
      against([{ ...broker, spec: { ...broker.spec, replica: 1 } as Manifest['spec'] & object }]),
    ).to.have.length(1);
    expect(
      against([{ ...broker, spec: { ...broker.spec, replicas: '1' } as Manifest['spec'] & object }]),
    ).to.have.length(1);
  });

  it('are all named by the kustomization', () => {
    const files = readdirSync(FOLDER).filter(
      (file) => file.endsWith('.yaml') && file !== 'kustomization.yaml',
    );
    expect(kustomization.resources).to.have.members(files);
  });

  it('give settings that there are, from keys that `panal keys` makes and the kustomization puts into secrets', () => {
    for (const { containers, volumes = [] } of pods) {
      const secret = volumes.find((volume) => volume.secret !== undefined)?.secret?.secretName;
      const keys = kustomization.secretGenerator.find(({ name }) => name === secret)?.files ?? [];
      for (const { name, value } of containers.flatMap(({ env = [] }) => env)) {
        const file = /^\/run\/keys\/(.*)$/.exec(value)?.[1];
        if (file !== undefined) expect(keys).to.include(`secrets/${file}`);
        // Of the registry's own.
        if (name.startsWith('REGISTRY_')) continue;
        const setting = name.replace(/_FILE$/, '');
        expect(SETTINGS).to.have.property(setting);
        if (name === setting) continue;
        expect(value).to.equal(`/run/keys/${setting.replace('FAAS_', '').toLowerCase()}`);
        expect(keys).to.include(`secrets/${value.replace('/run/keys/', '')}`);
      }
    }
  });

  it('mount what they declare', () => {
    for (const { containers, volumes = [] } of pods) {
      const mounted = containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name));
      expect(mounted).to.include.members(volumes.map(({ name }) => name));
    }
  });
});
