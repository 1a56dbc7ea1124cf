import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Agent, CONNECT, DISCONNECT } from './agent.ts';
import { WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';

/**
 * Node's own modules that a hook loads besides those that every script has.
 * @param since the script's start, or the last time that V8's flags were changed.
 */
async function modulesOf(
  agent: Agent,
  environment: Readonly<Record<string, string>>,
  since: 'start' | 'flags' = 'start',
): Promise<string[]> {
  const file = join(agent.folder, 'modules');
  const spy = join(agent.folder, 'spy.cjs');
  writeFileSync(
    spy,
    `let before = new Set(process.moduleLoadList);
     if (${since === 'flags'}) {
       const v8 = require('node:v8');
       const { setFlagsFromString } = v8;
       v8.setFlagsFromString = (flag) => {
         setFlagsFromString(flag);
         before = new Set(process.moduleLoadList);
       };
     }
     process.on('exit', () => {
       const loaded = process.moduleLoadList.filter((name) => !before.has(name));
       require('node:fs').writeFileSync(${JSON.stringify(file)}, JSON.stringify(loaded));
     });`,
  );
  const [node = '', boot = ''] = WITHOUT_DRAIN;
  const run = await agent.hook(environment, [node, '--require', spy, boot]);
  assert.equal(run.code, 0, run.stderr);
  const loaded = JSON.parse(readFileSync(file, 'utf8')) as string[];
  return (
    loaded
      .filter((name) => name.startsWith('NativeModule '))
      .map((name) => name.replace('NativeModule ', ''))
      // Only on a machine so busy that a hook raises its priority (src/state/hurry.ts).
      .filter((name) => name !== 'os')
  );
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

  const called = (name: string): string => fixture.portal.address.replace('127.0.0.1', name);

  for (const [portal, resolver] of [
    ['127.0.0.1', false],
    ['localhost', true],
  ] as const) {
    test(`a connect that asks the portal at ${portal} loads TLS, and no more than it needs`, async () => {
      await using agent = await fixture.install();
      agent.configure({ address: called(portal) }, fixture.certificates);
      const loaded = await modulesOf(agent, { ...CONNECT, USERNAME: 'alice' });
      assert.ok(loaded.includes('tls'));
      for (const name of ['http', 'http2', 'fs/promises', 'perf_hooks', 'zlib', 'dns/promises'])
        assert.ok(!loaded.includes(name), name);
      assert.equal(loaded.includes('dns'), resolver);
    });

    test(`and loads them all before V8’s flags are changed: later ones would be compiled anew: ${portal}`, async () => {
      await using agent = await fixture.install();
      agent.configure({ address: called(portal) }, fixture.certificates);
      assert.deepEqual(await modulesOf(agent, { ...CONNECT, USERNAME: 'alice' }, 'flags'), []);
    });
  }
});
