import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Agent, CONNECT, DISCONNECT } from './agent.ts';
import { WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';

/** Node's own modules that a hook loads besides those that every script has. */
async function modulesOf(agent: Agent, environment: Readonly<Record<string, string>>): Promise<string[]> {
  const file = join(agent.folder, 'modules');
  const spy = join(agent.folder, 'spy.cjs');
  writeFileSync(
    spy,
    `const before = new Set(process.moduleLoadList);
     process.on('exit', () => {
       const loaded = process.moduleLoadList.filter((name) => !before.has(name));
       require('node:fs').writeFileSync(${JSON.stringify(file)}, JSON.stringify(loaded));
     });`,
  );
  const [node = '', boot = ''] = WITHOUT_DRAIN;
  const run = await agent.hook(environment, [node, '--require', spy, boot]);
  assert.equal(run.code, 0, run.stderr);
  const loaded = JSON.parse(readFileSync(file, 'utf8')) as string[];
  return loaded
    .filter((name) => name.startsWith('NativeModule '))
    .map((name) => name.replace('NativeModule ', ''));
}

/** Each of them costs a hook up to some milliseconds: they are compiled without a code cache under the launcher's flags. */
describe('of Node’s own modules', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('a cached connect loads only what runs its own code cache', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    assert.deepEqual(await modulesOf(agent, { ...CONNECT, USERNAME: 'alice', ID: '2' }), ['vm']);
  });

  test('a disconnect and a host-update load no more', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const update = { ...CONNECT, REASON: 'host-update', USERNAME: 'alice' };
    assert.deepEqual(await modulesOf(agent, update), ['vm']);
    assert.deepEqual(await modulesOf(agent, { ...DISCONNECT, USERNAME: 'alice', STATS_DURATION: '1' }), [
      'vm',
    ]);
  });

  test('a connect that asks the portal loads gRPC’s, so that this would see one', async () => {
    await using agent = await fixture.install();
    const loaded = await modulesOf(agent, { ...CONNECT, USERNAME: 'alice' });
    for (const name of ['http2', 'tls', 'perf_hooks']) assert.ok(loaded.includes(name), name);
  });
});
