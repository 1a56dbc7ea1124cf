import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { SCHEMA_VERSION } from '../../src/state/migrate.ts';
import { sibling } from '../unit/state-child.ts';
import { CONNECT } from './agent.ts';
import { Patient } from './doctor-patient.ts';
import { WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';

function sql(path: string, text: string): void {
  const db = new Database(path);
  db.exec(text);
  db.close();
}

/** Everything in the log goes into the main file, so that what is done to that counts. */
function checkpoint(path: string): void {
  const db = new Database(path);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

/** What is there, byte for byte, without the shared memory that readers of SQLite's have as well. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder).filter((file) => !file.endsWith('-shm'));
  return Object.fromEntries(
    files.map((file) => {
      const path = join(folder, file);
      const { mode, uid, size, mtimeMs } = statSync(path);
      const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
      return [file, size === 0 ? 'empty' : [mode, uid, mtimeMs, hash].join()];
    }),
  );
}

describe('doctor says of the state', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('that it is sound, and leaves all of it as it is', async () => {
    await using patient = await Patient.admit(fixture);
    const folder = dirname(patient.agent.state);
    // A log that nobody has brought into the main file, as hooks leave it.
    await patient.agent.hook({ ...CONNECT, USERNAME: 'alice' }, WITHOUT_DRAIN);
    const before = contents(folder);
    const { code, findings } = await patient.examine();
    assert.equal(code, 0, JSON.stringify(findings, null, 1));
    assert.equal(findings.find(({ check }) => check === 'state.integrity')?.level, 'ok');
    assert.deepEqual(contents(folder), before);
  });

  test('that it is sound although it is large, and blames nobody who answered meanwhile', async () => {
    await using patient = await Patient.admit(fixture);
    const collector = createServer((request, response) =>
      request.resume().on('end', () => response.end('{}')),
    );
    collector.listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const { port } = collector.address() as { port: number };
    // Looking through it takes longer than what the collector has.
    sql(
      patient.agent.state,
      `CREATE TABLE ballast (name TEXT PRIMARY KEY, value TEXT);
       INSERT INTO ballast WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
       SELECT 'x' || (i * 7919 % 1000003), hex(i) FROM n`,
    );
    const endpoint = `http://127.0.0.1:${port}/v1/metrics`;
    patient.configure({ config: `[telemetry]\nendpoint = "${endpoint}"\ntimeout = "500ms"\n` });
    try {
      const { findings } = await patient.examine();
      const wrong = findings.filter(({ level }) => level === 'broken' || level === 'warning');
      assert.deepEqual(wrong, []);
    } finally {
      collector.closeAllConnections();
      collector.close();
    }
  });

  test('that there is none yet, and makes none', async () => {
    await using patient = await Patient.admit(fixture);
    const folder = dirname(patient.agent.state);
    for (const file of readdirSync(folder)) rmSync(join(folder, file));
    const { findings } = await patient.examine();
    assert.equal(findings.find(({ check }) => check === 'state.file')?.level, 'note');
    assert.deepEqual(readdirSync(folder), []);
  });

  test('that a page of it is damaged, and does not set it aside', async () => {
    await using patient = await Patient.admit(fixture);
    const { state } = patient.agent;
    sql(
      state,
      `INSERT INTO meta WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
       SELECT 'x' || i, hex(randomblob(500)) FROM n`,
    );
    checkpoint(state);
    const fd = openSync(state, 'r+');
    writeSync(fd, Buffer.alloc(4_096, 0x5a), 0, 4_096, statSync(state).size - 20 * 4_096);
    closeSync(fd);
    const before = readdirSync(dirname(state)).filter((file) => /corrupt|salvaged/.test(file));
    const { code, findings } = await patient.examine();
    const found = findings.find(({ check }) => check === 'state.integrity');
    assert.equal(found?.level, 'broken');
    assert.match(found.what, /state\.db is corrupt: /);
    assert.match(found.cure, /ocagent-hook --config \/.*\/config\.toml maintain, which salvages/);
    assert.equal(code, 1);
    assert.deepEqual(
      readdirSync(dirname(state)).filter((file) => /corrupt|salvaged/.test(file)),
      before,
    );
  });

  test('that it is no database', async () => {
    await using patient = await Patient.admit(fixture);
    const { state } = patient.agent;
    checkpoint(state);
    for (const suffix of ['-wal', '-shm']) rmSync(state + suffix, { force: true });
    writeFileSync(state, 'x'.repeat(8_192), { mode: 0o600 });
    const { code, findings } = await patient.examine();
    const found = findings.find(({ check }) => check === 'state.integrity');
    assert.equal(found?.level, 'broken');
    assert.match(found.what, /is corrupt: .*not a database/);
    assert.equal(code, 1);
    assert.equal(readFileSync(state, 'latin1'), 'x'.repeat(8_192));
  });

  test('that a newer program wrote it', async () => {
    await using patient = await Patient.admit(fixture);
    sql(patient.agent.state, 'PRAGMA user_version = 99');
    const { code, findings } = await patient.examine();
    const found = findings.find(({ check }) => check === 'state.schema');
    assert.equal(found?.level, 'broken');
    assert.match(found.what, new RegExp(`has schema 99, and this program knows up to ${SCHEMA_VERSION}`));
    assert.equal(code, 1);
  });

  test('that an older program wrote it, and does not upgrade it', async () => {
    await using patient = await Patient.admit(fixture);
    sql(patient.agent.state, 'PRAGMA user_version = 1');
    const { findings } = await patient.examine();
    const found = findings.find(({ check }) => check === 'state.schema');
    assert.equal(found?.level, 'note');
    assert.match(found.cure, /upgrades it/);
    assert.deepEqual(patient.agent.query('PRAGMA user_version'), [{ user_version: 1 }]);
  });

  test('who has held its write lock for longer than a hook waits', async (t) => {
    await using patient = await Patient.admit(fixture);
    const other = sibling(t, 'immediate', patient.agent.state);
    assert.equal(await other.said(), 'held');
    await patient.has(
      'broken',
      'state.lock',
      /has been locked by process \d+ \(.+\) for longer than a hook waits/,
      /ps -fp \d+/,
    );
    await other.release();
    const { code } = await patient.examine();
    assert.equal(code, 0);
  });

  test('that somebody has it for himself alone', async () => {
    await using patient = await Patient.admit(fixture);
    checkpoint(patient.agent.state);
    const alone = new Database(patient.agent.state);
    alone.pragma('locking_mode = EXCLUSIVE');
    alone.exec('BEGIN EXCLUSIVE');
    try {
      const { code, findings } = await patient.examine();
      const found = findings.find(({ check }) => check === 'state.lock');
      assert.equal(found?.level, 'broken');
      assert.match(found.what, /is locked/);
      assert.match(found.cure, /fuser -v/);
      assert.equal(code, 1);
    } finally {
      alone.close();
    }
  });

  test('that a database was set aside and not searched yet, and leaves it alone', async () => {
    await using patient = await Patient.admit(fixture);
    const aside = `${patient.agent.state}.corrupt-4711`;
    writeFileSync(aside, 'broken');
    await patient.has(
      'warning',
      'state.set_aside',
      /state\.db\.corrupt-4711 was corrupt and has not been searched/,
      /ocagent-hook --config .* maintain/,
    );
    assert.equal(readFileSync(aside, 'utf8'), 'broken');
  });
});
