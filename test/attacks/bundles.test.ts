import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { tar, tarGz, zip, type ArchiveEntry } from '../../testkit/archives.js';
import type { Cluster } from '../../testkit/cluster.js';
import { engineCluster } from '../system/engine-cluster.js';

const MAX_UNPACKED = 4 << 20;
const BOMB: ArchiveEntry = { name: 'bomb', content: Buffer.alloc(MAX_UNPACKED + 1) };
const CROWD: ArchiveEntry[] = Array.from({ length: 101 }, (_, n) => ({ name: `${n}` }));

/** What is uploaded, and what the answer is; `test/bundle/hostile.test.ts` has many more of the kind. */
const BUNDLES: [what: string, bundle: Buffer, status: number, code: string][] = [
  ['a symlink to a file of the machine', tarGz([link('symlink', '/etc/shadow')]), 422, 'UNSAFE_ARCHIVE'],
  ['such a symlink in a zip', zip([link('symlink', '/etc/shadow')]), 422, 'UNSAFE_ARCHIVE'],
  ['a symlink out of its folder', tarGz([link('symlink', '../../store')]), 422, 'UNSAFE_ARCHIVE'],
  ['a hard link to a file of the machine', tarGz([link('link', '/etc/shadow')]), 422, 'UNSAFE_ARCHIVE'],
  ['a file that is to lie elsewhere', zip([{ name: '../../evil' }]), 422, 'UNSAFE_ARCHIVE'],
  ['a device', tarGz([{ name: 'disk', type: 'block-device' }]), 422, 'UNSAFE_ARCHIVE'],
  ['a zip bomb', zip([BOMB]), 413, 'BUNDLE_TOO_LARGE'],
  ['a tar bomb', tarGz([BOMB]), 413, 'BUNDLE_TOO_LARGE'],
  [
    'a gzip bomb behind a tar',
    gzipSync(Buffer.concat([tar([]), Buffer.alloc(1 << 28)])),
    413,
    'BUNDLE_TOO_LARGE',
  ],
  ['a crowd of files', zip(CROWD), 413, 'BUNDLE_TOO_LARGE'],
];

function link(type: 'symlink' | 'link', linkname: string): ArchiveEntry {
  return { name: 'test.py', type, linkname };
}

describe('Hostile bundles', () => {
  let panal: Cluster;
  before(async () => {
    panal = await engineCluster({
      FAAS_MAX_BUNDLE_UNPACKED: String(MAX_UNPACKED),
      FAAS_MAX_BUNDLE_ENTRIES: '100',
    });
  });
  after(() => panal.stop());

  for (const [what, bundle, status, code] of BUNDLES) {
    it(`are refused with ${what}, and leave nothing`, async () => {
      const before = diskUse(panal.folder);
      const answer = await panal.upload('/registerFunction/pythonruntime/evil', bundle, 'module.zip');
      expect(answer.status).to.equal(status);
      expect(answer.json.error).to.include({ code });
      expect(diskUse(panal.folder) - before).to.be.below(1 << 18);
      const good = tarGz([{ name: 'test.py', content: 'print(1)' }]);
      expect(
        (await panal.upload('/registerFunction/pythonruntime/good', good, 'good.tar.gz')).status,
      ).to.equal(201);
    });
  }
});

const diskUse = (folder: string): number =>
  1024 * Number.parseInt(execFileSync('du', ['-sk', folder]).toString(), 10);
