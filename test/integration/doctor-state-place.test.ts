import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';
import { MOUNTS } from './mounts.ts';

const ROOT_ONLY = { skip: process.getuid?.() === 0 ? false : 'only root can give files away' };

/** The same state, on a file system of its own. */
function moveTo(folder: string, ...mount: string[]): AsyncDisposable {
  const aside = `${folder}.aside`;
  cpSync(folder, aside, { recursive: true });
  execFileSync('mount', [...mount, folder]);
  for (const file of readdirSync(aside)) copyFileSync(join(aside, file), join(folder, file));
  return {
    async [Symbol.asyncDispose]() {
      execFileSync('umount', ['-l', folder]);
    },
  };
}

describe("doctor says of the state's place", () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('that its folder does not exist', async () => {
    await using patient = await Patient.admit(fixture);
    renameSync(dirname(patient.agent.state), join(patient.agent.folder, 'elsewhere'));
    const { findings } = await patient.examine();
    const found = findings.find(({ check }) => check === 'state.trust');
    assert.equal(found?.level, 'broken');
    assert.match(found.what, /the state's folder .* does not exist/);
    assert.match(found.cure, /^install -d -m 0700 .*\/state/);
  });

  for (const [what, spoil, expected, cure] of [
    [
      'its folder is a file',
      ({ state }) => {
        renameSync(dirname(state), `${dirname(state)}.aside`);
        writeFileSync(dirname(state), '');
      },
      /\/state is not a folder/,
      /set state\.path to a file in a folder of its own/,
    ],
    [
      'its folder can be written by others',
      ({ state }) => chmodSync(dirname(state), 0o770),
      /\/state can be written by others \(mode 0770\)/,
      /chmod 0700/,
    ],
    [
      'it can be written by others',
      ({ state }) => chmodSync(state, 0o602),
      /state\.db can be written by others \(mode 0602\)/,
      /chmod 0600/,
    ],
    [
      'it is a link',
      ({ state }) => {
        renameSync(state, `${state}.aside`);
        symlinkSync(`${state}.aside`, state);
      },
      /state\.db is not a regular file/,
      /move it away/,
    ],
    [
      'it is a folder',
      ({ state }) => {
        rmSync(state);
        mkdirSync(state);
      },
      /state\.db is not a regular file/,
      /move it away/,
    ],
  ] as readonly (readonly [string, (agent: { state: string }) => void, RegExp, RegExp])[]) {
    test(`that ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      spoil(patient.agent);
      const { code, findings } = await patient.examine();
      const found = findings.find(({ check }) => check === 'state.trust');
      assert.equal(found?.level, 'broken');
      assert.match(found.what, expected);
      assert.match(found.cure, cure);
      assert.equal(code, 1);
    });
  }

  for (const [whose, path] of [
    ['its folder belongs', (state: string) => dirname(state)],
    ['it belongs', (state: string) => state],
  ] as const) {
    test(`that ${whose} to another user`, ROOT_ONLY, async () => {
      await using patient = await Patient.admit(fixture);
      chownSync(path(patient.agent.state), 12_345, 0);
      const { code, findings } = await patient.examine();
      const found = findings.find(({ check }) => check === 'state.trust');
      assert.equal(found?.level, 'broken');
      assert.match(found.what, /belongs to uid 12345, and this runs as uid 0/);
      assert.match(found.cure, /chown/);
      assert.equal(code, 1);
    });
  }

  test('that others can look into its folder', async () => {
    await using patient = await Patient.admit(fixture);
    chmodSync(dirname(patient.agent.state), 0o755);
    await patient.has(
      'warning',
      'state.folder',
      /entered or read by others \(mode 0755\)/,
      /chmod 0700 .*\/state$/,
    );
  });

  test('that others can read it', async () => {
    await using patient = await Patient.admit(fixture);
    chmodSync(patient.agent.state, 0o644);
    await patient.has('warning', 'state.mode', /state\.db has mode 0644/, /chmod 0600 .*state\.db$/);
  });

  test('that the disk is full', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    await using _ = moveTo(dirname(patient.agent.state), '-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'tmpfs');
    await patient.has('broken', 'state.space', /^[0-7] MiB free under/, /df -h/);
  });

  test('that the disk is nearly full', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    await using _ = moveTo(dirname(patient.agent.state), '-t', 'tmpfs', '-o', 'size=100m,mode=0700', 'tmpfs');
    await patient.has('warning', 'state.space', /^9\d MiB free under/, /df -h/);
  });

  test('that no more files can be made there', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    await using _ = moveTo(
      dirname(patient.agent.state),
      '-t',
      'tmpfs',
      '-o',
      'nr_inodes=16,size=1g,mode=0700',
      'tmpfs',
    );
    await patient.has('broken', 'state.space', /no inodes are left/, /df -i/);
  });

  test('that it is in memory, and gone after a reboot', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    await using _ = moveTo(dirname(patient.agent.state), '-t', 'tmpfs', '-o', 'size=1g,mode=0700', 'tmpfs');
    await patient.has('warning', 'state.file_system', /is on tmpfs, in memory/, /local disk/);
  });

  test('that its disk is mounted read-only', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    const folder = dirname(patient.agent.state);
    await using _ = moveTo(folder, '-t', 'tmpfs', '-o', 'size=1g,mode=0700', 'tmpfs');
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const { code, findings } = await patient.examine();
    const found = findings.find(({ check }) => check === 'state.writable');
    assert.equal(found?.level, 'broken');
    assert.match(found.what, /is on a file system that is mounted read-only/);
    assert.match(found.cure, /remount,rw/);
    assert.equal(code, 1);
  });
});
