import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, copyFileSync, rmSync } from 'node:fs';
import { createServer as createSocket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ALONE, Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';
import { MOUNTS } from './mounts.ts';

describe('doctor says of a running ocserv', () => {
  const fixture = withPortal({ default: { allowed: true } });

  /** A process of that name: what is looked at is only that, its environment, and where its stderr goes. */
  function asProcess(patient: Patient, name: string, environment: string, stderr = '/dev/null'): string[] {
    const program = join(patient.agent.folder, name);
    copyFileSync('/bin/sleep', program);
    chmodSync(program, 0o755);
    return [...ALONE, 'sh', '-ec', `env -i ${environment} ${program} 60 2>${stderr} & exec "$@"`, 'sh'];
  }

  test('that its hooks use another configuration than the one that was examined', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    const inside = asProcess(patient, 'ocserv-main', 'OCAGENT_CONFIG=/etc/other.toml');
    await patient.has(
      'warning',
      'ocserv.environment',
      /use \/etc\/other\.toml, and .*config\.toml was checked/,
      /^run ocagent-hook --config \/etc\/other\.toml doctor$/,
      inside,
    );
  });

  test('that what hooks log goes nowhere', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure({ config: '[log]\nfile = ""\n' });
    const inside = asProcess(patient, 'ocserv-main', `OCAGENT_CONFIG=${patient.agent.configFile}`);
    await patient.has('warning', 'log', /ocserv's stderr, which is \/dev\/null/, /set log\.file/, inside);
  });

  test('nothing of the log, where its stderr leads somewhere', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure({ config: '[log]\nfile = ""\n' });
    const stderr = join(patient.agent.folder, 'stderr');
    const inside = asProcess(patient, 'ocserv-main', `OCAGENT_CONFIG=${patient.agent.configFile}`, stderr);
    const { findings } = await patient.examine(inside);
    assert.deepEqual(
      findings.filter(({ check }) => check === 'log' || check === 'ocserv.environment'),
      [],
    );
  });

  test('that its folder for temporary files is its own, and a path of ours lies there', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    const log = '/var/tmp/ocagent-doctor-test.log';
    patient.configure({ config: `[log]\nfile = "${log}"\n` });
    const program = join(patient.agent.folder, 'ocserv-main');
    copyFileSync('/bin/sleep', program);
    chmodSync(program, 0o755);
    const env = `env -i OCAGENT_CONFIG=${patient.agent.configFile}`;
    // The second shell tells by its file that all is mounted.
    const own = `unshare -m sh -ec 'mount -t tmpfs tmpfs /var/tmp; echo >${program}.up; exec ${env} ${program} 60'`;
    const inside = `mkfifo ${program}.up; ${own} 2>/dev/null & cat ${program}.up >/dev/null; exec "$@"`;
    await patient.has(
      'broken',
      'ocserv.private_folder',
      /log\.file \/var\/tmp\/.* has a \/var\/tmp of its own/,
      /set log\.file to a path outside of \/var\/tmp/,
      [...ALONE, 'sh', '-ec', inside, 'sh'],
    );
  });

  test('that its occtl socket is dead', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    patient.script('occtl', '#!/bin/sh\nexit 1\n');
    const inside = asProcess(patient, 'ocserv-main', `OCAGENT_CONFIG=${patient.agent.configFile}`);
    await patient.has(
      'broken',
      'occtl',
      /nobody answers at .*occtl\.sock \(ENOENT\)/,
      /occtl-socket-file/,
      inside,
    );
  });

  test('that occtl fails although somebody answers', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    patient.script('occtl', '#!/bin/sh\necho "permission denied" >&2; exit 1\n');
    const inside = asProcess(patient, 'ocserv-main', `OCAGENT_CONFIG=${patient.agent.configFile}`);
    const socket = createSocket().listen(join(patient.agent.folder, 'occtl.sock'));
    await once(socket, 'listening');
    await patient.has('broken', 'occtl', /permission denied/, /occtl -j show users/, inside);
    socket.close();
  });

  test('that occtl is not there', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    rmSync(join(patient.agent.folder, 'occtl'));
    const socket = createSocket().listen(join(patient.agent.folder, 'occtl.sock'));
    await once(socket, 'listening');
    await patient.has('broken', 'occtl', /ENOENT/, /set ocserv\.occtl to its path/);
    socket.close();
  });

  test('that it does not run, as a warning', MOUNTS, async () => {
    await using patient = await Patient.admit(fixture);
    patient.script('occtl', '#!/bin/sh\nexit 1\n');
    await patient.has(
      'warning',
      'occtl',
      /nobody answers .*; no ocserv runs here/,
      /systemctl start ocserv/,
      ALONE,
    );
  });

  test('that log.file cannot be written', async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure({ config: '[log]\nfile = "/nowhere/hook.log"\n' });
    await patient.has(
      'warning',
      'log',
      /log\.file \/nowhere\/hook\.log cannot be written/,
      /install -d \/nowhere/,
    );
  });
});
