import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { isAlive, processesIn } from '../../scripts/vpn/network.ts';
import { createWorkFolder } from '../../scripts/vpn/work-folder.ts';
import { commandLine, descriptors, sessionIdOf, socketsAt } from './processes.ts';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected } from './recorded-vpn.ts';
import { allDelivered, drains, REASON, report, reports, reportsOf, sessionOf } from './reports.ts';

const many = Array.from({ length: 30 }, (_, index) => `user-${index}`);
const users = ['alice', ...many];

/** Stands before the real setsid, by which drains are started and nothing else is, and notes each call. */
const folder = await createWorkFolder();
const started = join(folder.path, 'started');
await writeFile(started, '');
const setsid = `#!/bin/sh\necho "$*" >> '${started}'\nexec /usr/bin/setsid "$@"\n`;
await writeFile(join(folder.path, 'setsid'), setsid, { mode: 0o755 });

describe('the drain that a hook under a real ocserv starts', () => {
  after(() => folder.remove());
  const real = withRealHook({
    users,
    path: [folder.path],
    policy: { users: Object.fromEntries(users.map((user) => [user, {}])) },
  });

  test('is one process with one connection, though thirty users come at once', limits, async () => {
    const outcomes = await Promise.all(many.map((user) => real.connect(user)));
    for (const outcome of outcomes) assertConnected(outcome);
    for (const user of many) await report(real, 'ReportConnect', await sessionOf(real, user));
    // With the last one told, it lingers.
    const running = (await processesIn(real.vpn.network.server)).filter((pid) =>
      commandLine(pid).includes('drain'),
    );
    const [lease] = real.query<{ lease: string; pid: number }>('SELECT lease, pid FROM drain');
    const drained = drains(real);
    const starts = (await readFile(started, 'utf8')).split('\n').filter(Boolean);
    await allDelivered(real);

    assert.equal(lease?.lease, 'held');
    assert.deepEqual(running, [lease?.pid]);
    assert.ok(drained <= 2, `${drained} drains`);
    assert.equal(starts.length, drained, starts.join('\n'));
    const told = reports(real);
    assert.deepEqual(
      told.map(({ rpc, username }) => `${rpc} ${username}`).sort(),
      many.map((user) => `ReportConnect ${user}`).sort(),
    );
    const peers = new Set(told.map(({ peer }) => peer));
    assert.ok(peers.size <= drained, `${[...peers]} of ${drained} drain(s)`);
  });

  test('has nothing of ocserv but its stderr, and goes on when ocserv ends', limits, async (t) => {
    real.configure(`
      timeout = "30s"
      [hook]
      deadline = "40s"`);
    const { portal } = real;
    await portal.setPolicy({ users: { alice: {} }, rpc: { ReportConnect: { delay: '1s' } } });
    assertConnected(await real.connect('alice'));
    await portal.holds('alice', 'ReportConnect');
    // Its answer comes when the test has seen enough.
    process.kill(portal.pid, 'SIGSTOP');
    t.after(() => process.kill(portal.pid, 'SIGCONT'));

    const [row] = real.query<{ pid: number; lease: string }>('SELECT pid, lease FROM drain');
    assert.equal(row?.lease, 'held');
    const { pid } = row;
    assert.equal(sessionIdOf(pid), pid);
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
    const { ocserv } = real.vpn;
    const his = descriptors(ocserv.pid);
    const own = descriptors(pid);
    assert.equal(own.get(0), '/dev/null');
    assert.equal(own.get(1), '/dev/null');
    assert.equal(own.get(2), his.get(2));
    const listener = socketsAt(join(real.vpn.folder, 'occtl.sock'), ocserv.pid);
    assert.ok(listener.length > 0 && listener.some((socket) => [...his.values()].includes(socket)));
    // Kinds without a number of their own, e.g. anon_inode:[eventpoll], are the same for everybody; and whoever runs the
    // tests may have handed something down to all of us.
    const everybodys = [...descriptors(process.pid).values(), '/dev/null'];
    const ocservs = [...his.values(), ...listener].filter((target) => /^socket:|^pipe:|^\//.test(target));
    const kept = [...own].filter(
      ([fd, target]) =>
        fd > 2 && !everybodys.includes(target) && (ocservs.includes(target) || target.endsWith('(deleted)')),
    );
    assert.deepEqual(kept, []);

    await ocserv.stop();
    assert.ok(isAlive(pid));
    const session = await sessionOf(real, 'alice');
    assert.deepEqual(reportsOf(real, session), []);
    process.kill(portal.pid, 'SIGCONT');
    const ended = await report(real, 'ReportDisconnect', session);
    assert.equal(ended.request.reason, REASON.SERVER_SHUTDOWN);
    // Both over its connection: it was the one drain of them.
    const told = reportsOf(real, session);
    assert.deepEqual(
      told.map(({ rpc, peer }) => [rpc, peer]),
      [
        ['ReportConnect', ended.peer],
        ['ReportDisconnect', ended.peer],
      ],
    );
    assert.equal(drains(real), 1);
  });
});
