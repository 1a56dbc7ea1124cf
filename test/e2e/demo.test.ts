import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { toolEnvironment } from '../../scripts/vpn/run.ts';
import { type Running, start } from '../../scripts/vpn/running.ts';
import { noVpn } from './require-vpn.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'scripts', 'demo', 'main.ts');
const limits = { timeout: 90_000 };

/** The demo as a process whose temporary files all lie in a folder of its own. */
async function startDemo(t: TestContext, env: NodeJS.ProcessEnv): Promise<{ demo: Running; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'ocagent-demo-test-'));
  // ocserv's workers, as nobody, must get through it.
  await chmod(folder, 0o711);
  const demo = await start([process.execPath, MAIN], {
    env: { ...toolEnvironment(), TMPDIR: folder, ...env },
  });
  t.after(async () => {
    if (demo.running) await demo.end('SIGTERM');
    await rm(folder, { recursive: true });
  });
  return { demo, folder };
}

async function assertWholeStory({ demo, folder }: { demo: Running; folder: string }): Promise<void> {
  const { status } = await demo.exited;
  assert.equal(status, 0, demo.log.text);
  assert.equal(demo.log.all(/All 10 steps were as they should be/).length, 1, demo.log.text);
  // Not a terminal: no colours.
  assert.ok(!demo.log.text.includes('\u001b'));
  assert.deepEqual(await readdir(folder), []);
}

async function assertInterrupted({ demo, folder }: { demo: Running; folder: string }): Promise<void> {
  await demo.log.waitFor(/connected as/, 60_000);
  assert.deepEqual(await demo.end('SIGINT'), { status: null, signal: 'SIGINT' });
  assert.deepEqual(await readdir(folder), []);
}

// Most of their time they wait.
describe('the demo', { concurrency: 4 }, () => {
  test('shows what it says on a real VPN', { ...limits, skip: noVpn }, async (t) => {
    const started = await startDemo(t, {});
    await started.demo.log.waitFor(/^ +connect-script = .*\/bin\/ocagent-hook$/, 30_000);
    await assertWholeStory(started);
  });

  test('says so where no VPN can run, and calls the hook itself', limits, async (t) => {
    const started = await startDemo(t, { OCAGENT_DEMO_WITHOUT_VPN: '1' });
    await started.demo.log.waitFor(/^Without a VPN: /, 30_000);
    await assertWholeStory(started);
  });

  test('leaves nothing behind when Ctrl-C ends it', { ...limits, skip: noVpn }, async (t) => {
    await assertInterrupted(await startDemo(t, {}));
  });

  test('leaves nothing behind without a VPN either', limits, async (t) => {
    await assertInterrupted(await startDemo(t, { OCAGENT_DEMO_WITHOUT_VPN: '1' }));
  });
});
