import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import type { Agent } from './agent.ts';
import { EVENTS, gone, pending, WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';

const STATS = { STATS_BYTES_IN: '5', STATS_BYTES_OUT: '6', STATS_DURATION: '7' };

/** A stand-in for occtl: what a real one cannot be made to do, such as to hang or to fail. */
function standIn(agent: Agent, body: string): string {
  const file = join(agent.folder, 'occtl');
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return `\n[ocserv]\nocctl = "${file}"\nocctl_socket = "${agent.folder}/none.sock"`;
}

function configure(agent: Agent, fixture: ReturnType<typeof withPortal>, config: string): void {
  agent.configure({ address: fixture.portal.address, config }, fixture.certificates);
}

function run(agent: Agent, sql: string): void {
  const db = new Database(agent.state);
  db.exec(sql);
  db.close();
}

describe('ocagent-hook maintain', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('does all parts in one run, a line each, and says nothing with --quiet', async () => {
    await using agent = await fixture.install(EVENTS);
    configure(agent, fixture, EVENTS + standIn(agent, 'echo "[]"'));
    await agent.hook({ REASON: 'disconnect', USERNAME: 'alice', ID: '1', ...STATS }, WITHOUT_DRAIN);
    const first = await agent.command('maintain');
    assert.equal(first.code, 0, first.stdout + first.stderr);
    const parts = first.stdout.trim().split('\n');
    assert.deepEqual(
      parts.map((line) => line.split(':')[0]),
      ['cleanup', 'retention', 'salvage', 'events', 'sessions', 'export'],
    );
    assert.match(first.stdout, /events: +1 delivered, 0 pending/);
    const quiet = await agent.command('maintain', '--quiet');
    assert.deepEqual([quiet.code, quiet.stdout, quiet.stderr], [0, '', '']);
    const json = JSON.parse((await agent.command('maintain', '--json')).stdout);
    assert.partialDeepStrictEqual(json[3], { part: 'events', ok: true, delivered: 0, problems: [] });
  });

  test('goes on after a part that fails, says which, and exits with 1', async () => {
    await using agent = await fixture.install(EVENTS);
    configure(agent, fixture, EVENTS + standIn(agent, 'echo "no such thing" >&2; exit 1'));
    await agent.connect('alice');
    await gone(agent);
    await agent.hook({ REASON: 'disconnect', USERNAME: 'bob', ID: '2', ...STATS }, WITHOUT_DRAIN);
    const quiet = await agent.command('maintain', '--quiet');
    assert.equal(quiet.code, 1);
    assert.match(
      quiet.stdout,
      /^sessions: .*failed: nobody answers at .*none\.sock \(ENOENT\); see ocserv\.occtl_socket\n$/,
    );
    assert.equal(pending(agent), 0, 'the parts before it were done');
  });

  test('does no harm twice at once', async () => {
    await using agent = await fixture.install(EVENTS);
    configure(agent, fixture, EVENTS + standIn(agent, 'echo "[]"'));
    for (let i = 0; i < 5; i++) {
      const end = { REASON: 'disconnect', USERNAME: `user${i}`, ID: `${i + 1}`, ...STATS };
      await agent.hook(end, WITHOUT_DRAIN);
    }
    const runs = await Promise.all([1, 2, 3].map(() => agent.command('maintain')));
    for (const one of runs) assert.equal(one.code, 0, one.stdout + one.stderr);
    assert.equal(fixture.portal.callsOf('ReportDisconnect').length, 5);
  });

  test('removes what is older than sessions.keep, but nothing that the portal has not got', async () => {
    await using agent = await fixture.install(EVENTS);
    configure(agent, fixture, `${EVENTS}${standIn(agent, 'echo "[]"')}\n[sessions]\nkeep = "1h"`);
    for (const [i, user] of ['old', 'undelivered', 'recent'].entries()) {
      await agent.hook({ REASON: 'disconnect', USERNAME: user, ID: `${i + 1}`, ...STATS }, WITHOUT_DRAIN);
    }
    const longAgo = Date.now() - 7_200_000;
    run(
      agent,
      `DELETE FROM event WHERE username <> 'undelivered';
       UPDATE event SET failed_wall = ${Date.now() - 60_000};
       UPDATE session SET ended_wall = ${longAgo} WHERE username <> 'recent'`,
    );
    const maintained = await agent.command('maintain');
    assert.match(maintained.stdout, /retention: 1 old sessions removed, 0 failed events dropped/);
    const left = agent.query<{ username: string }>('SELECT username FROM session ORDER BY id');
    assert.deepEqual(
      left.map(({ username }) => username),
      ['undelivered', 'recent'],
    );
    run(agent, `UPDATE event SET failed_wall = ${longAgo}`);
    assert.match((await agent.command('maintain')).stdout, /1 old sessions removed, 1 failed events dropped/);
  });

  test('brings back what a database held that was set aside as corrupt, once', async () => {
    await using agent = await fixture.install(EVENTS);
    configure(agent, fixture, EVENTS + standIn(agent, 'echo "[]"'));
    const begun = { REASON: 'connect', USERNAME: 'alice', ID: '9', IP_REAL: '192.0.2.1' };
    await agent.hook(begun, WITHOUT_DRAIN);
    await agent.hook({ REASON: 'disconnect', USERNAME: 'bob', ID: '2', ...STATS }, WITHOUT_DRAIN);
    const events = agent.query<{ id: string }>('SELECT id FROM event ORDER BY seq').map(({ id }) => id);
    assert.equal(events.length, 2);
    // A page that only the decisions are on: what hooks read first, and what salvage does not need.
    const db = new Database(agent.state);
    db.pragma('wal_checkpoint(TRUNCATE)');
    const [{ page = 0 } = {}] = db
      .prepare(`SELECT rootpage AS page FROM sqlite_schema WHERE name = 'decision'`)
      .all() as { page?: number }[];
    const size = Number(db.pragma('page_size', { simple: true }));
    db.close();
    const bytes = readFileSync(agent.state);
    bytes.fill(0xff, (page - 1) * size, page * size);
    writeFileSync(agent.state, bytes);
    const hook = await agent.hook({ ...begun, ID: '10' }, WITHOUT_DRAIN);
    assert.match(hook.stderr, /set aside, and a new one begun/);

    const salvaged = await agent.command('maintain');
    assert.match(salvaged.stdout, /salvage: +1 databases, 2 events recovered, 1 sessions recovered/);
    const sent = [...fixture.portal.callsOf('ReportConnect'), ...fixture.portal.callsOf('ReportDisconnect')];
    for (const id of events)
      assert.ok(
        sent.some(({ eventId }) => eventId === id),
        id,
      );
    assert.equal(sent.length, 3);
    const again = await agent.command('maintain');
    assert.match(again.stdout, /salvage: +0 databases/);
    assert.ok(readdirSync(dirname(agent.state)).some((name) => /^state\.db\.salvaged-\d+$/.test(name)));
  });

  test('says what could not be brought back, once, with exit 1', async () => {
    await using agent = await fixture.install(EVENTS);
    configure(agent, fixture, EVENTS + standIn(agent, 'echo "[]"'));
    await agent.connect('alice');
    writeFileSync(`${agent.state}.corrupt-1`, 'garbage '.repeat(1_000), { mode: 0o600 });
    const salvaged = await agent.command('maintain');
    assert.equal(salvaged.code, 1);
    assert.match(
      salvaged.stdout,
      /salvage: .*failed: .*corrupt-1: .*(could not be opened|could not be read)/,
    );
    assert.equal((await agent.command('maintain', '--quiet')).code, 0);
  });
});

describe('ocagent-hook sessions sync', () => {
  const fixture = withPortal({ default: { allowed: true } });

  for (const [what, body] of [
    ['fails', 'echo "cannot do that" >&2; exit 1'],
    ['prints what is no list', 'echo "surprise"'],
    ['prints a list cut short', `echo '[{"ID": 1, "Username": "alice"'`],
  ] as const) {
    test(`closes nothing when occtl ${what}, however often`, async () => {
      await using agent = await fixture.install(EVENTS);
      configure(agent, fixture, EVENTS + standIn(agent, body));
      await agent.connect('alice');
      for (let i = 0; i < 3; i++) {
        const sync = await agent.command('sessions', 'sync');
        assert.equal(sync.code, 1, sync.stdout);
        run(agent, 'UPDATE session SET missing_wall = missing_wall - 100000');
      }
      assert.equal(agent.query('SELECT * FROM session WHERE ended_wall IS NOT NULL').length, 0);
    });
  }

  test('closes nothing for a socket file that somebody left behind, where ocserv has never answered', async () => {
    await using agent = await fixture.install(EVENTS);
    const socket = join(agent.folder, 'left-over.sock');
    const listener = `require('node:net').createServer().listen('${socket}', () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', listener]);
    assert.ok(existsSync(socket));
    const config = `${EVENTS}${standIn(agent, 'exit 1')}`.replace(`${agent.folder}/none.sock`, socket);
    configure(agent, fixture, config);
    await agent.connect('alice');
    for (let i = 0; i < 3; i++) {
      const sync = await agent.command('sessions', 'sync');
      assert.match(
        sync.stdout,
        /nobody answers at .*left-over\.sock \(ECONNREFUSED\); see ocserv\.occtl_socket/,
      );
      run(agent, 'UPDATE occtl_contact SET dead_wall = dead_wall - 100000, dead_mono = dead_mono - 100000');
    }
    assert.equal(agent.query('SELECT * FROM session WHERE ended_wall IS NOT NULL').length, 0);
  });

  test('gives up on a portal that fails at call after call, and says so in one line', async () => {
    await using agent = await fixture.install(EVENTS);
    await fixture.portal.setPolicy({
      default: { allowed: true },
      rpc: { ValidateSession: { error: 'INTERNAL' } },
    });
    const users = Array.from({ length: 20 }, (_, i) => i + 1);
    const list = users.map((id) => ({ ID: id, Username: `user${id}`, State: 'connected', vhost: 'default' }));
    configure(agent, fixture, EVENTS + standIn(agent, `echo '${JSON.stringify(list)}'`));
    const sync = await agent.command('sessions', 'sync', '--json');
    assert.equal(sync.code, 1);
    const report = JSON.parse(sync.stdout);
    assert.partialDeepStrictEqual(report, { live: 20, taken_up: 20 });
    assert.equal(report.problems.length, 1);
    assert.match(report.problems[0], /^20 session\(s\) could not be validated: INTERNAL/);
    assert.equal(fixture.portal.callsOf('ValidateSession').length, 3);
  });

  test('asks a portal whose last word was an error whether it is back, although nobody is connected', async () => {
    await using agent = await fixture.install();
    configure(agent, fixture, standIn(agent, `echo '[]'`));
    await fixture.portal.setPolicy({ users: { alice: { error: 'INTERNAL' } }, default: { allowed: true } });
    const isAway = async (): Promise<boolean> => {
      const { portal } = JSON.parse((await agent.command('status', '--json')).stdout);
      return Date.parse(portal.last_error_at ?? 0) > Date.parse(portal.last_success_at ?? 0);
    };
    await agent.command('sessions', 'sync');
    assert.equal(fixture.portal.callsOf('ValidateSession').length, 0, 'nothing to ask about');
    await agent.connect('alice');
    assert.ok(await isAway());
    assert.equal((await agent.command('sessions', 'sync')).code, 0);
    assert.ok(!(await isAway()));
    await agent.command('sessions', 'sync');
    assert.equal(fixture.portal.callsOf('ValidateSession').length, 1, 'and no more, once it is');
  });

  test('ends many sessions by the order of the portal with one list, and few calls of occtl at once', async () => {
    await using agent = await fixture.install(EVENTS);
    await fixture.portal.setPolicy({
      default: { allowed: true },
      rpc: { ReportSessionUpdate: { should_disconnect: true, disconnect_reason: 'policy violated' } },
    });
    const users = Array.from({ length: 30 }, (_, i) => i + 1);
    const list = users.map((id) => ({ ID: id, Username: `user${id}`, State: 'connected', vhost: 'default' }));
    const log = join(agent.folder, 'occtl.log');
    const body = `for last; do :; done
echo "begin $*" >> ${log}
case "$*" in
*'show users') echo '${JSON.stringify(list)}' ;;
*'show id'*) echo "[{"ID": $last, "Username": "user$last"}]" ;;
esac
echo "end $*" >> ${log}`;
    configure(agent, fixture, EVENTS + standIn(agent, body));
    const sync = await agent.command('sessions', 'sync');
    assert.equal(sync.code, 0, sync.stdout + sync.stderr);
    assert.match(sync.stdout, /30 order\(s\) carried out/);
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    assert.equal(lines.filter((line) => /^begin .*disconnect id/.test(line)).length, 30);
    const lists = lines.filter((line) => /^begin .*show users/.test(line)).length;
    assert.ok(lists <= 8, `${lists} lists for 30 orders`);
    let now = 0;
    const most = Math.max(...lines.map((line) => (now += line.startsWith('begin') ? 1 : -1)));
    assert.ok(most <= 4, `${most} at once`);
    const ends = agent.query<{ end_reason: string }>('SELECT DISTINCT end_reason FROM session');
    assert.deepEqual(ends, [{ end_reason: 'POLICY_VIOLATION' }]);
  });
});
