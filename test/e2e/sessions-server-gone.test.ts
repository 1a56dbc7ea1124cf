import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import type { Connected } from '../../scripts/vpn/client.ts';
import { sendThrough, tunnelScript } from '../../scripts/vpn/traffic.ts';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected } from './recorded-vpn.ts';
import {
  allDelivered,
  kernelCounts,
  minutePasses,
  occtlConfig,
  REASON,
  type Report,
  reportsOf,
  type Stats,
  sessionOf,
  sync,
  syncWell,
} from './reports.ts';
import { noVpn } from './require-vpn.ts';

const names = Array.from({ length: 20 }, (_, index) => `user-${index}`);
const [BUSY = '', ...quiet] = names;
const few = names.slice(0, 5);
const COUNTS = ['bytesReceived', 'bytesSent', 'packetsReceived', 'packetsSent'] as const;

describe('when a real ocserv goes', () => {
  const real = withRealHook({
    users: names,
    policy: { users: Object.fromEntries(names.map((user) => [user, {}])) },
  });

  // A test that failed half-way leaves none.
  beforeEach(async () => {
    if (noVpn === false && !real.vpn.ocserv.running) await real.vpn.restart();
  });

  test(
    'by SIGTERM with twenty clients, each session ends at the portal, with its traffic as it was seen last',
    limits,
    async (t) => {
      const clients = await busyAnd(quiet);
      const session = await sessionOf(real, BUSY);
      const before = (reportsOf(real, session).at(-1) as Report).request.currentStats;
      const truth = await kernelCounts(real, deviceOf(session));
      await real.vpn.ocserv.stop();
      const byHooks = real.log.all({ msg: 'disconnect recorded' });
      await sync(real);
      minutePasses(real);
      const { problems } = await sync(real);
      assert.deepEqual(problems, []);
      await allDelivered(real);

      const ends = names.map((user) => endOf(user));
      for (const { request } of ends) {
        const may = [
          REASON.SERVER_SHUTDOWN,
          REASON.UNSPECIFIED,
          REASON.CONNECTION_ERROR,
        ] as readonly number[];
        assert.ok(may.includes(request.reason), `${request.username}: ${request.reason}`);
      }
      assert.ok(ends.some(({ request }) => request.reason === REASON.SERVER_SHUTDOWN));
      assert.ok(byHooks.length > 0);
      // The environment has nothing of it, which would be all that is booked.
      for (const line of byHooks) assert.partialDeepStrictEqual(line, { bytes_in: '0', bytes_out: '0' });
      const { stats } = endOf(BUSY).request;
      // The client may still have said something of its own, e.g. a router solicitation.
      const isTrue = COUNTS.every((count) => {
        const [reported, counted] = [Number(stats[count]), Number(truth[count])];
        return counted <= reported && reported < counted + 500;
      });
      // ocserv does not wait for its scripts: on a slow machine a tunnel is gone before one can look. Then it is what sync saw last.
      const isKnown = COUNTS.every((count) => stats[count] === before[count]);
      t.diagnostic(isTrue ? 'its script has seen the tunnel' : 'its tunnel was gone before its script');
      assert.ok(isTrue || isKnown, JSON.stringify({ stats, truth, before }));
      await startAgain(clients);
    },
  );

  test('by SIGKILL, the sessions are closed when its socket was dead for a minute', limits, async () => {
    const clients = await busyAnd(few.slice(1));
    await syncWell(real);
    const known = lastKnown();
    await real.vpn.ocserv.kill();

    const first = await sync(real);
    assert.equal(first.closed, 0);
    assert.match(first.problems.join(), /5 session\(s\) are closed if it stays so for a minute/);
    await nothingEnded();
    // Too soon for a second look.
    assert.equal((await sync(real)).closed, 0);
    await nothingEnded();
    minutePasses(real);
    assert.partialDeepStrictEqual(await sync(real), { closed: 5, problems: [] });
    await allDelivered(real);
    endedAsLastKnown(known);
    await startAgain(clients);
  });

  test(
    'and is back after a SIGKILL, they are closed when two lists a minute apart lack them',
    limits,
    async () => {
      const clients = await busyAnd(few.slice(1));
      await syncWell(real);
      const known = lastKnown();
      await real.vpn.ocserv.kill();
      await startAgain(clients);

      assert.partialDeepStrictEqual(await syncWell(real), { live: 0, closed: 0 });
      assert.partialDeepStrictEqual(await syncWell(real), { live: 0, closed: 0 });
      await nothingEnded();
      minutePasses(real);
      assert.partialDeepStrictEqual(await syncWell(real), { live: 0, closed: 5 });
      await allDelivered(real);
      endedAsLastKnown(known);
      assert.partialDeepStrictEqual(await syncWell(real), { live: 0, closed: 0 });
      await allDelivered(real);
      endedAsLastKnown(known);
    },
  );

  test('or only occtl fails, nothing is closed, however long that goes on', limits, async () => {
    const failing = join(real.vpn.folder, 'failing-occtl');
    await writeFile(failing, '#!/bin/sh\necho no luck >&2\nexit 1\n');
    await chmod(failing, 0o755);
    real.configure(`${occtlConfig(real)}\nocctl = ${JSON.stringify(failing)}`);
    const connected = await Promise.all(few.map((user) => real.connect(user)));
    for (const client of connected) assertConnected(client);
    for (let minutes = 0; minutes < 3; minutes += 1) {
      const { live, closed, problems } = await sync(real);
      assert.deepEqual({ live, closed }, { live: 0, closed: 0 });
      assert.match(problems.join(), /no luck/);
      minutePasses(real);
    }
    await nothingEnded();
  });

  /** That one with traffic, the others without; all in a program that knows where occtl finds ocserv. */
  async function busyAnd(others: readonly string[]): Promise<Connected[]> {
    real.configure(occtlConfig(real));
    const script = await tunnelScript(real.vpn.folder);
    const outcomes = await Promise.all(
      [BUSY, ...others].map((user) => real.connect(user, user === BUSY ? { script } : {})),
    );
    const clients = outcomes.map((outcome) => {
      assertConnected(outcome);
      return outcome;
    });
    // As cron did before: from then on it is known that this is the socket.
    assert.partialDeepStrictEqual(await syncWell(real), { live: clients.length });
    await sendThrough(real.vpn.network, clients[0] as Connected, { packets: 200 });
    return clients;
  }

  /** ocserv is there for the next test, and none of these clients comes back to it. */
  async function startAgain(clients: readonly Connected[]): Promise<void> {
    await Promise.all(clients.map((client) => client.kill()));
    await real.vpn.restart();
  }

  function deviceOf(session: string): string {
    return real.sessions().find(({ session_id }) => session_id === session)?.device ?? '';
  }

  function idOf(username: string): string {
    const rows = real.sessions().filter((row) => row.username === username);
    assert.equal(rows.length, 1);
    return rows[0]?.session_id ?? '';
  }

  /** The one report of that user's end, as which the last report of him must be. */
  function endOf(username: string): Report {
    const told = reportsOf(real, idOf(username));
    assert.equal(told[0]?.rpc, 'ReportConnect', username);
    assert.equal(told.filter(({ rpc }) => rpc === 'ReportConnect').length, 1, username);
    assert.equal(told.filter(({ rpc }) => rpc === 'ReportDisconnect').length, 1, username);
    const last = told.at(-1) as Report;
    assert.equal(last.rpc, 'ReportDisconnect', username);
    return last;
  }

  /** What the portal was told last of each of the few. */
  function lastKnown(): ReadonlyMap<string, Stats> {
    const known = new Map(
      few.map((user) => [user, (reportsOf(real, idOf(user)).at(-1) as Report).request.currentStats]),
    );
    assert.ok(Number(known.get(BUSY)?.bytesReceived) >= 205_600);
    return known;
  }

  async function nothingEnded(): Promise<void> {
    await allDelivered(real);
    assert.ok(real.sessions().every(({ ended_wall }) => ended_wall === null));
    const told = few.flatMap((user) => reportsOf(real, idOf(user)));
    assert.deepEqual(
      told.filter(({ rpc }) => rpc === 'ReportDisconnect'),
      [],
    );
  }

  function endedAsLastKnown(known: ReadonlyMap<string, Stats>): void {
    for (const [user, stats] of known) {
      const { reason, stats: booked } = endOf(user).request;
      assert.equal(reason, REASON.CONNECTION_ERROR);
      for (const count of COUNTS) assert.equal(booked[count], stats[count], `${user}: ${count}`);
    }
    assert.ok(real.sessions().every(({ ended_wall }) => ended_wall !== null));
  }
});

describe('when a real ocserv is stopped and kills a hook that is not done', () => {
  const STUCK = 'stuck';
  const real = withRealHook({
    users: [STUCK, 'alice'],
    policy: { users: { [STUCK]: {}, alice: {} } },
    body: `[ "$REASON $USERNAME" != "disconnect ${STUCK}" ] || wait_at_gate\nexec "$hook"`,
  });

  test('the next syncs end its session, with the last that was known of it', limits, async () => {
    real.configure(occtlConfig(real));
    const client = await real.connect(STUCK, { script: await tunnelScript(real.vpn.folder) });
    assertConnected(client);
    assertConnected(await real.connect('alice'));
    await sendThrough(real.vpn.network, client, { packets: 100 });
    await syncWell(real);
    const session = await sessionOf(real, STUCK);
    const known = (reportsOf(real, session).at(-1) as Report).request.currentStats;
    await real.vpn.ocserv.stop();
    assert.ok(
      (await real.recording.calls()).some(({ kind, user }) => kind === 'disconnect' && user === STUCK),
    );

    assert.partialDeepStrictEqual(await sync(real), { closed: 0 });
    minutePasses(real);
    assert.partialDeepStrictEqual(await sync(real), { closed: 1, problems: [] });
    await allDelivered(real);
    const [end, ...others] = reportsOf(real, session).filter(({ rpc }) => rpc === 'ReportDisconnect');
    assert.deepEqual(others, []);
    assert.equal(end?.request.reason, REASON.CONNECTION_ERROR);
    for (const count of COUNTS) assert.equal(end.request.stats[count], known[count], count);
    assert.ok(Number(known.bytesReceived) >= 102_800);
    const told = reportsOf(real, await sessionOf(real, 'alice'));
    assert.equal(told.filter(({ rpc }) => rpc === 'ReportDisconnect').length, 1);
    assert.equal(told.at(-1)?.request.reason, REASON.SERVER_SHUTDOWN);
  });
});
