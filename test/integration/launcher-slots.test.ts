import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Agent, CONNECT } from './agent.ts';
import { BUSY, patience, whereRunnable } from './busy-machine.ts';
import { withPortal } from './fixture.ts';
import { MOUNTS } from './mounts.ts';
import { over } from './stand-in.ts';

describe('the launcher, with slots', MOUNTS, () => {
  const fixture = withPortal({ default: { allowed: true } });

  /** What a stand-in for Node has been given: its slot, and which of the launcher's own descriptors are open in it. */
  const given = async (agent: Agent, programs: number): Promise<string> => {
    const said = join(agent.folder, 'said');
    const launcher = over(
      agent,
      `printf %s "slot '$OCAGENT_SLOT'," >${said}
       for fd in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$fd ] || printf %s " $fd" >>${said}; done
       exit 0`,
    );
    const run = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [
      ...whereRunnable(agent, programs),
      launcher,
    ]);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.stderr, '');
    return readFileSync(said, 'latin1');
  };

  test('takes none on a machine that is not busy', async () => {
    await using agent = await fixture.install();
    patience(agent, '60');
    assert.equal(await given(agent, BUSY - 1), "slot '',");
    assert.equal(await given(agent, BUSY), "slot '9', 9");
  });

  test('takes one also as the first of all since the machine was started, where only the owner may have put it', async () => {
    await using agent = await fixture.install();
    rmSync(agent.runDir, { recursive: true, force: true });
    assert.equal(await given(agent, BUSY - 1), "slot '',");
    assert.equal(existsSync(agent.runDir), false, 'it makes nothing for nothing');
    assert.equal(await given(agent, BUSY), "slot '9', 9");
    assert.equal(statSync(agent.runDir).mode & 0o777, 0o700);
    chownSync(agent.runDir, 65_534, 65_534);
    assert.equal(await given(agent, BUSY), "slot '',");
  });

  test('leaves nothing of its own open in a hook that has waited for them in vain', async () => {
    await using agent = await fixture.install();
    patience(agent, '0');
    const all = Array.from({ length: 3 * availableParallelism() }, (_, slot) =>
      join(agent.runDir, `slot-${slot}`),
    );
    const [flock = '', ...args] = all.flatMap((slot) => ['flock', slot]);
    const holder = spawn(flock, [...args, 'sh', '-c', 'echo held; exec sleep 1000'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    try {
      await once(holder.stdout, 'data');
      assert.equal(await given(agent, BUSY), "slot '',");
    } finally {
      if (holder.pid !== undefined) process.kill(-holder.pid, 'SIGKILL');
    }
  });
});
