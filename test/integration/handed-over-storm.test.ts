import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Agent, CONNECT, expectsDrain, LAUNCHER, type Run } from './agent.ts';
import { awaited, BUSY, type Machine, ownMachine, takeAll } from './busy-machine.ts';
import { withPortal } from './fixture.ts';
import { ALONE, attended, sign, withoutNode } from './handed-over.ts';
import { PATIENT, until } from './leader.ts';
import { MOUNTS } from './mounts.ts';

/** A connect that its siblings keep from its turn, and what happens meanwhile. */
async function heldBack(
  agent: Agent,
  machine: Machine,
  USERNAME: string,
  command: readonly string[],
  meanwhile: () => Promise<unknown>,
): Promise<Run> {
  using taken = await takeAll(agent);
  const { ended } = agent.start({ ...CONNECT, USERNAME, ID: '2' }, [...machine.on(BUSY), ...command]);
  await until(() => awaited(agent).length > 0, 'it waits for a slot');
  await meanwhile();
  taken.leaveAll();
  return ended;
}

describe('on a busy machine', MOUNTS, () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: true } } });
  const [config, portal] = PATIENT;

  test('a drain is started also while the portal is away, and stays as long as calls come', async () => {
    await using agent = await fixture.install(`${config}\n[events]\nenabled = true`, portal);
    using machine = await ownMachine(agent);
    expectsDrain(agent);
    await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '1' }, [...machine.on(1), LAUNCHER]);
    await until(() => agent.drain !== null, 'the first drain is there');
    await until(() => agent.drain === null, 'and gone');
    await agent.command('breaker', 'trip');
    await fixture.portal.stop();
    assert.equal(
      (await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '2' }, [...machine.on(BUSY), LAUNCHER])).code,
      0,
    );
    await until(() => existsSync(sign(agent)), 'a drain takes calls');
    const command = [...machine.on(1), ...withoutNode(agent)];
    const { ino } = statSync(sign(agent));
    // Longer than one that nobody calls stays.
    const end = performance.now() + 3_000;
    for (let id = 3; performance.now() < end; id++) {
      const run = await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: `${id}` }, command);
      assert.deepEqual([run.code, run.decision?.['source']], [0, 'cache'], run.stderr);
    }
    assert.equal(statSync(sign(agent)).ino, ino, 'the same one');
    await until(() => !existsSync(sign(agent)), 'it goes when none comes any more');
    assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '999' }, command)).code, ALONE);
  });

  test('a hook that waits for a slot hands its call over to a drain that has come meanwhile', async () => {
    await using agent = await fixture.install(`${config}\n[events]\nenabled = true`, portal);
    using machine = await ownMachine(agent);
    const hasOne = () => attended(agent, [...machine.on(1), LAUNCHER]);
    const run = await heldBack(agent, machine, 'bob', withoutNode(agent), hasOne);
    assert.deepEqual([run.code, run.decision?.['username']], [0, 'bob'], run.stderr);
  });

  test('a hook that has waited goes by the configuration that is there when its turn has come', async () => {
    await using agent = await fixture.install(`${config}\n[events]\nenabled = true`, portal);
    using machine = await ownMachine(agent);
    const quiet = () => machine.on(1);
    const change = async () => {
      await attended(agent, [...quiet(), LAUNCHER]);
      const bob = { ...CONNECT, USERNAME: 'bob', ID: '3' };
      assert.equal((await agent.hook(bob, [...quiet(), ...withoutNode(agent)])).code, 0, 'it has looked');
      writeFileSync(agent.configFile, `${readFileSync(agent.configFile)}\n# changed\n`);
    };
    assert.equal((await heldBack(agent, machine, 'alice', withoutNode(agent), change)).code, ALONE);
    assert.equal(existsSync(sign(agent)), false, 'and none is handed over any more');
  });
});
