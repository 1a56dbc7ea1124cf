import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { type Agent, CONNECT } from './agent.ts';
import { withPortal } from './fixture.ts';
import { nobodyLeads } from './leader.ts';
import { fill, MOUNTS, mountTmpfs } from './mounts.ts';

describe('state that cannot be used', () => {
  const fixture = withPortal({
    default: { allowed: false, reason: 'unknown' },
    users: { alice: { allowed: true } },
  });

  /** The portal still decides, a denial is still a denial, and the log says what is wrong and what to do. */
  const decidesWithout = async (agent: Agent, reason: RegExp): Promise<void> => {
    const allowed = await agent.connect('alice');
    assert.equal(allowed.code, 0, allowed.stderr);
    assert.equal(allowed.decision?.['source'], 'portal');
    assert.deepEqual(allowed.decision?.['cache'], { state: 'unavailable', age_seconds: null });
    assert.equal(allowed.decision?.['breaker'], 'unavailable');
    const complaint = allowed.log.find(({ level }) => level === 'error');
    assert.match(String(complaint?.['reason']), reason);
    assert.ok(complaint?.['cure'], 'a complaint names its cure');
    const denied = await agent.connect('bob');
    assert.equal(denied.code, 1);
    assert.equal(denied.decision?.['source'], 'portal');
    await fixture.portal.stop();
    const out = await agent.connect('alice');
    assert.equal(out.code, 1, 'without the portal and the state there is nothing to allow it by');
    assert.equal(out.decision?.['source'], 'fail-close');
    const ended = await agent.disconnect('alice', {
      STATS_BYTES_IN: '18446744073709551615',
      STATS_BYTES_OUT: '2',
      STATS_DURATION: '3',
    });
    assert.equal(ended.code, 1);
    const line = ended.log.find(({ msg }) => String(msg).startsWith('disconnect NOT recorded'));
    assert.equal(line?.['bytes_in'], '18446744073709551615');
    assert.equal(line?.['username'], 'alice');
  };

  test('because its folder is missing', async () => {
    await using agent = await fixture.install();
    rmSync(dirname(agent.state), { recursive: true });
    await decidesWithout(agent, /does not exist/);
  });

  test('because others can write it', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    chmodSync(agent.state, 0o666);
    await decidesWithout(agent, /can be written by others \(mode 0666\)/);
  });

  test('because its folder belongs to somebody else', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root');
    await using agent = await fixture.install();
    chownSync(dirname(agent.state), 65534, 65534);
    await decidesWithout(agent, /belongs to uid 65534/);
  });

  test('because its path is no regular file: it is left where it is', async () => {
    await using agent = await fixture.install();
    mkdirSync(agent.state);
    await decidesWithout(agent, /not a regular file/);
    assert.deepEqual(readdirSync(dirname(agent.state)), ['state.db']);
  });

  test('because a newer program wrote it: it is left as it is', async () => {
    await using agent = await fixture.install();
    const db = new Database(agent.state);
    db.exec('PRAGMA user_version = 999; CREATE TABLE future (x)');
    db.close();
    const before = readFileSync(agent.state);
    await decidesWithout(agent, /schema version 999/);
    assert.deepEqual(readFileSync(agent.state), before);
  });

  test('because it is locked, even against reading, for longer than a connect waits', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    await agent.command('cache', 'clear');
    const holder = new Database(agent.state);
    holder.pragma('locking_mode = EXCLUSIVE');
    holder.exec('BEGIN EXCLUSIVE; UPDATE sequence SET value = value + 1');
    try {
      const run = await agent.connect('alice');
      assert.equal(run.code, 0, run.stderr);
      assert.equal(run.decision?.['source'], 'portal');
      assert.match(run.stderr, /locked by another process/);
      assert.ok(Number(run.decision?.['duration_ms']) < 4_000, 'within the second that a connect waits');
    } finally {
      holder.close();
    }
  });
});

describe('state that can be read but not written', () => {
  const fixture = withPortal({
    default: { allowed: false, reason: 'unknown' },
    users: { alice: { allowed: true } },
  });

  /** Fresh and stale decisions still answer, the breaker still holds, and the log says what was not recorded. */
  const stillAnswers = async (agent: Agent, lines: RegExp): Promise<void> => {
    await fixture.portal.stop();
    const fresh = await agent.connect('alice');
    assert.equal(fresh.code, 0, fresh.stderr);
    assert.equal(fresh.decision?.['source'], 'cache');
    assert.match(fresh.stderr, /this decision and its session are not recorded/);
    assert.match(fresh.stderr, lines);
    agent.configure(
      { address: fixture.portal.address, config: '[resilience.cache]\nttl = "0s"' },
      fixture.certificates,
    );
    const stale = await agent.connect('alice');
    assert.equal(stale.code, 0, stale.stderr);
    assert.equal(stale.decision?.['source'], 'stale');
    await fixture.portal.start();
    const asked = await agent.connect('bob');
    assert.equal(asked.code, 1);
    assert.equal(asked.decision?.['source'], 'portal', 'the portal is asked as ever');
    const ended = await agent.disconnect('alice', { STATS_BYTES_IN: '5' });
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /disconnect NOT recorded/);
  };

  test('because a sibling holds it', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const holder = new Database(agent.state);
    holder.exec('BEGIN IMMEDIATE');
    try {
      await fixture.portal.stop();
      const run = await agent.connect('alice');
      assert.equal(run.decision?.['source'], 'cache', run.stderr);
      assert.match(run.stderr, /locked by another process for too long/);
      assert.ok(Number(run.decision?.['duration_ms']) < 4_000);
    } finally {
      holder.close();
    }
  });

  test('because the disk is full', MOUNTS, async () => {
    await using agent = await fixture.install();
    await using _disk = mountTmpfs(dirname(agent.state));
    await agent.connect('alice');
    fill(dirname(agent.state));
    await stillAnswers(agent, /the disk is full/);
  });

  test('because its file system is mounted read-only', MOUNTS, async () => {
    await using agent = await fixture.install();
    await using _disk = mountTmpfs(dirname(agent.state));
    await agent.connect('alice');
    await nobodyLeads(agent);
    // To look has emptied and removed the log, which cannot be made anew there: a hook leaves one behind.
    await agent.hook({ ...CONNECT, REASON: 'host-update', USERNAME: 'alice' });
    execFileSync('mount', ['-o', 'remount,ro', dirname(agent.state)]);
    await stillAnswers(agent, /read-only/);
  });
});

describe('state that is corrupt', () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  const damage: Record<string, (file: string) => void> = {
    'overwritten with something else': (file) => writeFileSync(file, 'not a database at all\n'.repeat(500)),
    'damaged in the middle': (file) => {
      const bytes = readFileSync(file);
      bytes.fill(0xff, 4_096, bytes.length);
      writeFileSync(file, bytes);
    },
  };

  for (const [how, act] of Object.entries(damage)) {
    test(`because it was ${how} is set aside with its log, and a new one begun`, async () => {
      await using agent = await fixture.install();
      await agent.connect('alice');
      // On a slow machine it may stay, and find the damage itself.
      await nobodyLeads(agent);
      const db = new Database(agent.state);
      db.pragma('wal_checkpoint(TRUNCATE)');
      act(agent.state);
      const run = await agent.connect('alice', { ID: '2' });
      assert.equal(run.code, 0, run.stderr);
      assert.match(run.stderr, /set aside, and a new one begun/);
      assert.equal(run.decision?.['source'], 'portal');
      const names = readdirSync(dirname(agent.state));
      assert.ok(
        names.some((name) => /^state\.db\.corrupt-\d+$/.test(name)),
        names.join(' '),
      );
      assert.equal(
        (await agent.connect('alice', { ID: '3' })).decision?.['source'],
        'cache',
        'the new one works',
      );
      db.close();
    });
  }

  test('is set aside once by many siblings that find it at the same moment, and no decision is lost', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const good = new Database(agent.state);
    good.pragma('wal_checkpoint(TRUNCATE)');
    good.close();
    writeFileSync(agent.state, 'garbage '.repeat(2_000));
    const runs = await Promise.all(
      Array.from({ length: 12 }, (_, i) => agent.connect('alice', { ID: `${i + 10}` })),
    );
    for (const run of runs) assert.equal(run.code, 0, run.stderr);
    const aside = readdirSync(dirname(agent.state)).filter((name) => /corrupt-\d+$/.test(name));
    assert.equal(aside.length, 1, aside.join(' '));
    assert.equal(agent.query('SELECT * FROM session').length, 12);
  });

  test('leaves no number of its own to the new one: what the portal says later still counts', async () => {
    await using agent = await fixture.install('[resilience.cache]\nttl = "0s"\ndeny_ttl = "0s"');
    await agent.connect('alice');
    const db = new Database(agent.state);
    db.exec('UPDATE sequence SET value = 50000');
    const release = fixture.portal.hold('CheckPolicy');
    const pending = agent.connect('alice', { ID: '2' });
    await fixture.portal.arrived(2, 'CheckPolicy');
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
    writeFileSync(agent.state, 'garbage '.repeat(2_000));
    for (const suffix of ['-wal', '-shm']) rmSync(`${agent.state}${suffix}`, { force: true });
    release();
    assert.equal((await pending).code, 0);
    await fixture.portal.setPolicy({ users: { alice: { allowed: false, reason: 'revoked' } } });
    assert.equal((await agent.connect('alice', { ID: '3' })).code, 1);
    await fixture.portal.stop();
    const out = await agent.connect('alice', { ID: '4' });
    assert.equal(out.code, 1, out.stderr);
  });

  test('and cannot be set aside is done without: the portal decides', async () => {
    await using agent = await fixture.install('[resilience]\nfail_mode = "open"');
    writeFileSync(agent.state, 'garbage '.repeat(2_000));
    writeFileSync(`${agent.state}.lock`, 'garbage '.repeat(2_000));
    const run = await agent.connect('alice');
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.decision?.['source'], 'portal');
    const invalid = await agent.connect('x'.repeat(70));
    assert.equal(invalid.code, 1, 'an invalid name is denied under fail mode open, too');
  });

  test('keeps the committed rows of its write-ahead log: the log goes with it, under the same suffix', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const db = new Database(agent.state);
    db.pragma('wal_checkpoint(TRUNCATE)');
    // Committed, and only in the log: page 1, by which SQLite knows a database, is not in it.
    await agent.connect('alice', { ID: '1' });
    // On a busy machine its process may stay to lead, and writes once more.
    await nobodyLeads(agent);
    const wal = readFileSync(`${agent.state}-wal`);
    assert.ok(wal.length > 0);
    writeFileSync(agent.state, 'garbage '.repeat(2_000));
    await agent.connect('alice', { ID: '2' });
    const [aside] = readdirSync(dirname(agent.state)).filter((name) => /corrupt-\d+$/.test(name));
    assert.deepEqual(readFileSync(join(dirname(agent.state), `${aside}-wal`)), wal);
    db.close();
  });
});
