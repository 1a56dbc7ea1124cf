import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { serverFiles } from '../../scripts/vpn/server-config.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected } from './recorded-vpn.ts';

/** Nothing tells that ocserv has read its configuration again, so this asks until it has. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await condition()))
    assert.ok(performance.now() < deadline, 'ocserv has not read its configuration');
}

describe('ocagent-hook doctor beside a real ocserv', () => {
  const real = withRealHook({ users: ['alice'], policy: { default: { allowed: true } } });

  const conf = (): string[] => ['--ocserv-conf', serverFiles(real.vpn.folder).config];

  async function examine(
    options: readonly string[] = conf(),
  ): Promise<{ status: number | null; findings: readonly Finding[] }> {
    const { status, stdout } = await real.commandOnServer('doctor', '--json', ...options);
    return { status, findings: (JSON.parse(stdout) as { findings: Finding[] }).findings };
  }

  test('finds nothing broken in an installation that works', limits, async () => {
    const { occtlSocket } = serverFiles(real.vpn.folder);
    real.configure(`[telemetry]\nenabled = false\n[ocserv]\nocctl_socket = "${occtlSocket}"`);
    assertConnected(await real.connect('alice'));
    assert.equal((await real.commandOnServer('maintain', '--quiet')).status, 0);
    const { status, findings } = await examine();
    const wrong = findings.filter(({ level }) => level === 'broken' || level === 'warning');
    assert.deepEqual(wrong, []);
    assert.equal(status, 0);
    const what = (check: string): string => findings.find((finding) => finding.check === check)?.what ?? '';
    assert.match(what('occtl'), /^occtl lists 1 session/);
    assert.match(what('ocserv.connect-script'), /names \/.*\/bin\/ocagent-hook$/);
    assert.match(what('portal.grpc'), /answered in \d+ ms/);
  });

  test(
    'finds what stands in ocserv.conf and is not in force, and what is in force and decides',
    limits,
    async () => {
      const { config, occtlSocket } = serverFiles(real.vpn.folder);
      real.configure(`[telemetry]\nenabled = false\n[ocserv]\nocctl_socket = "${occtlSocket}"`);
      const before = readFileSync(config, 'utf8');
      const reread = async (text: string): Promise<void> => {
        writeFileSync(config, text);
        real.vpn.ocserv.reload();
        await until(async () => !(await reloadIsDue()));
      };
      const reloadIsDue = async (): Promise<boolean> =>
        (await examine()).findings.some(({ check }) => check === 'ocserv.reload');
      assert.equal(await reloadIsDue(), false);
      try {
        // As root it sees what ocserv has in force, wherever that came from.
        const without = before.replace(/^connect-script.*$/m, '');
        writeFileSync(config, without);
        assert.equal(await reloadIsDue(), true);
        assert.equal(
          (await examine([])).findings.find(({ check }) => check === 'ocserv.connect-script')?.level,
          'ok',
        );
        const { findings: seen } = await examine([]);
        assert.match(
          seen.find(({ check }) => check === 'ocserv.connect-script')?.what ?? '',
          /\(as ocserv, process \d+, has it in force\)$/,
        );
        await reread(without);
        const { status, findings } = await examine([]);
        assert.equal(findings.find(({ check }) => check === 'ocserv.connect-script')?.level, 'broken');
        assert.equal(status, 1);
      } finally {
        await reread(before);
      }
    },
  );

  test("finds that occtl asks at a socket that is not this ocserv's", limits, async () => {
    real.configure(`[telemetry]\nenabled = false\n[ocserv]\nocctl_socket = "${real.vpn.folder}/other.sock"`);
    const { status, findings } = await examine();
    const broken = findings.filter(({ level }) => level === 'broken').map(({ check }) => check);
    assert.ok(broken.includes('occtl') && broken.includes('ocserv.occtl'), broken.join());
    assert.equal(status, 1);
  });
});
