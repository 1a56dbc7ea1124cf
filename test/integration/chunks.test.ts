import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { Script } from 'node:vm';
import { type Agent, CONNECT, LAUNCHER, placeOf } from './agent.ts';
import { withPortal } from './fixture.ts';

const HOME = dirname(dirname(LAUNCHER));

/** The program as it is installed, of which one chunk can be made what a power cut leaves. */
function copyOf(agent: Agent): { launcher: string; chunk: (name: string) => string } {
  const home = join(agent.folder, 'home');
  mkdirSync(join(home, 'bin'), { recursive: true });
  copyFileSync(LAUNCHER, join(home, 'bin', 'ocagent-hook'));
  cpSync(join(HOME, 'dist'), join(home, 'dist'), { recursive: true });
  symlinkSync(join(HOME, 'node_modules'), join(home, 'node_modules'));
  return { launcher: join(home, 'bin', 'ocagent-hook'), chunk: (name) => join(home, 'dist', name) };
}

describe('a program of which a power cut has left only a part', () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, denied: { allowed: false } } });

  test('decides as ever where all of it is there', async () => {
    await using agent = await fixture.install();
    const { launcher } = copyOf(agent);
    assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [launcher])).code, 0);
    assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'denied' }, [launcher])).code, 1);
  });

  const ruins: Readonly<Record<string, (file: string) => void>> = {
    'that is empty': (file) => truncateSync(file, 0),
    'of which half is there': (file) => truncateSync(file, Math.floor(readFileSync(file).length / 2)),
    'that lacks its last byte': (file) => truncateSync(file, readFileSync(file).length - 2),
    // As long as it was, so its code cache still counts as its own.
    'of nothing but zeros': (file) => writeFileSync(file, Buffer.alloc(readFileSync(file).length)),
  };
  for (const name of ['boot.cjs', 'main.cjs', 'portal.cjs', 'better-sqlite3.node']) {
    for (const [what, ruin] of Object.entries(ruins)) {
      test(`lets nobody in whom it cannot decide on: ${name} ${what}`, async () => {
        await using agent = await fixture.install();
        const { launcher, chunk } = copyOf(agent);
        ruin(chunk(name));
        const denied = await agent.hook({ ...CONNECT, USERNAME: 'denied' }, [launcher]);
        assert.notEqual(denied.code, 0, denied.stderr);
        const allowed = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [launcher]);
        // With what still runs it may find out that she is allowed, and by nothing else.
        if (allowed.code === 0) assert.equal(allowed.decision?.['source'], 'portal', allowed.stderr);
      });
    }
  }

  test('lets nobody in by any beginning of the launcher, whichever shell runs it', async () => {
    await using agent = await fixture.install();
    const { launcher } = copyOf(agent);
    const whole = readFileSync(launcher, 'latin1');
    // What a disk writes whole, every other boundary where a shell may take the beginning for all of it, and anything.
    const lines = [...whole.matchAll(/\n/g)].flatMap(({ index }) => [index, index + 1]);
    const lengths = [...new Set([...lines, 512, 1_024, 2_048, 4_096, whole.length - 2, whole.length - 3])];
    // Whether it is a shell script at all is in the first line; without that line there is nothing that could say no.
    const first = whole.indexOf('\n{') + 2;
    const shells = ['dash', 'bash'].filter((shell) => spawnSync(shell, ['-c', 'true']).status === 0);
    assert.ok(shells.length > 0);
    for (const length of lengths.filter((one) => one >= first && one < whole.length - 1)) {
      writeFileSync(launcher, whole.slice(0, length), 'latin1');
      for (const shell of shells) {
        const run = spawnSync(shell, [launcher], {
          env: {
            PATH: process.env['PATH'],
            ...placeOf(agent),
            ...CONNECT,
            USERNAME: 'denied',
          },
        });
        assert.ok(
          run.status !== null && run.status !== 0 && run.status !== 64,
          `${shell}, the first ${length} bytes`,
        );
      }
    }
  });

  test('lets nobody in by as much of boot.cjs as still is a program', async () => {
    await using agent = await fixture.install();
    const { launcher, chunk } = copyOf(agent);
    const boot = chunk('boot.cjs');
    const whole = readFileSync(boot, 'latin1');
    const lengths = Array.from({ length: whole.length - 1 }, (_, i) => i + 1).filter((length) => {
      try {
        new Script(`(function () {${whole.slice(0, length)}\n})`);
        return true;
      } catch {
        return false;
      }
    });
    // Where it ends within a comment, each length does what its neighbours do.
    const tried = lengths.filter(
      (length, i) => length !== (lengths[i - 1] ?? 0) + 1 || length !== (lengths[i + 1] ?? 0) - 1,
    );
    assert.ok(tried.length > 0);
    for (const length of tried) {
      writeFileSync(boot, whole.slice(0, length), 'latin1');
      const run = await agent.hook({ ...CONNECT, USERNAME: 'denied' }, [launcher]);
      assert.notEqual(run.code, 0, `with the first ${length} bytes`);
    }
  });
});
