import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Agent, CONNECT, LAUNCHER } from './agent.ts';
import { withPortal } from './fixture.ts';
import { nobodyLeads } from './leader.ts';

const NAMESPACES = namespacesWork() ? {} : { skip: process.env['CI'] === undefined ? 'needs root' : false };

/** The deadlines are short here so that the tests are; what is asserted is that the answer came by them, not how fast. */
const SHORT = '[hook]\ndeadline = "2s"';
const ALLOWED_LATE_MS = 3_000;

describe('the deadline', () => {
  const fixture = withPortal({
    users: { alice: { allowed: true }, slow: { allowed: true, delay: '30s' }, carol: { allowed: true } },
  });

  test('answers by the fail mode when the portal takes too long', async () => {
    await using agent = await fixture.install(SHORT, 'timeout = "1s"');
    const run = await agent.connect('slow');
    assert.equal(run.code, 1);
    assert.equal(run.decision?.['source'], 'fail-close');
    assert.match(String(run.decision?.['portal_error']), /^DEADLINE_EXCEEDED/);
    assert.ok(Number(run.decision?.['duration_ms']) < 2_000 + ALLOWED_LATE_MS);
  });

  test('holds although the first address accepts and never speaks: the next one is asked in its share', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    const port = (mute.address() as { port: number }).port;
    try {
      await using agent = await Agent.install({
        address: [`127.0.0.1:${port}`, fixture.portal.address],
        certificates: fixture.certificates,
        config: '[hook]\ndeadline = "4s"',
        portal: 'timeout = "2s"',
      });
      const run = await agent.connect('alice');
      assert.equal(run.code, 0, run.stderr);
      assert.equal(run.decision?.['source'], 'portal');
    } finally {
      for (const socket of sockets) socket.destroy();
      mute.close();
    }
  });

  test('holds with a silent name server and a blackholed address', NAMESPACES, async () => {
    await using agent = await Agent.install({
      address: ['portal.invalid:9091', '192.0.2.1:9091'],
      certificates: fixture.certificates,
      config: SHORT,
      portal: 'timeout = "1s"',
    });
    const resolv = join(agent.folder, 'resolv.conf');
    writeFileSync(resolv, 'nameserver 192.0.2.53\n');
    // A network of its own, where every packet is swallowed.
    const script = `ip link add swallow type veth peer name hole && ip link set hole up && ip link set swallow up &&
      ip addr add 198.18.0.1/15 dev swallow && ip route add default dev swallow &&
      for host in 1 53; do ip neigh add 192.0.2.$host lladdr 02:00:00:00:00:01 dev swallow nud permanent || exit; done &&
      mount --bind ${resolv} /etc/resolv.conf && exec ${LAUNCHER}`;
    const began = performance.now();
    const run = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [
      'unshare',
      '-n',
      '-m',
      'sh',
      '-c',
      script,
    ]);
    assert.equal(run.code, 1, run.stderr);
    assert.equal(run.decision?.['source'], 'fail-close', run.stderr);
    assert.ok(
      performance.now() - began < 2_000 + ALLOWED_LATE_MS,
      'leaving does not wait for the resolver either',
    );
    const asked = performance.now();
    const auth = await agent.hook({}, ['unshare', '-n', '-m', 'sh', '-c', `${script} auth --user alice`]);
    assert.equal(auth.code, 1, auth.stderr);
    assert.match(auth.stdout, /^denied: alice, by fail-close/);
    assert.ok(performance.now() - asked < 2_000 + ALLOWED_LATE_MS, 'and a person does not wait longer');
  });

  test('that cuts in while the portal is asked answers from what was read before', async () => {
    await using agent = await fixture.install(
      '[resilience]\nfail_mode = "open"\ncache.deny_ttl = "0s"\n[hook]\ndeadline = "5s"',
      'timeout = "4s"',
    );
    await fixture.portal.setPolicy({ users: { carol: { allowed: false, reason: 'revoked' } } });
    assert.equal((await agent.connect('carol')).code, 1);
    // On a slow machine it may stay, and wake for its answer who is to be stopped.
    await nobodyLeads(agent);
    const release = fixture.portal.hold('CheckPolicy');
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'carol' });
    await fixture.portal.arrived(2, 'CheckPolicy');
    const node = await nodeBelow(child.pid);
    process.kill(node, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 5_200));
    process.kill(node, 'SIGCONT');
    const run = await ended;
    release();
    assert.equal(run.code, 1, run.stderr);
    assert.equal(run.decision?.['source'], 'stale');
    // Which timer of the two that are overdue comes first is open: the portal call's, or the deadline's own.
    const cutShort = /hook\.deadline passed/.test(String(run.decision?.['portal_error']));
    assert.equal(/hook\.deadline answered: this decision .* not recorded/.test(run.stderr), cutShort);
  });

  test('that passed before the portal could be asked at all is no failure of the portal', async () => {
    await using agent = await fixture.install(
      '[hook]\ndeadline = "1s"\n[resilience.circuit_breaker]\nfailure_threshold = 1',
      'timeout = "900ms"',
    );
    // The process is stopped while it boots, as one that the machine has no time for.
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, ['sh', '-c', `exec ${LAUNCHER}`]);
    const node = await nodeBelow(child.pid);
    process.kill(node, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    process.kill(node, 'SIGCONT');
    const run = await ended;
    assert.equal(run.code, 1, run.stderr);
    const shown = JSON.parse((await agent.command('breaker', 'status', '--json')).stdout) as {
      state: string;
    };
    assert.equal(shown.state, 'closed');
  });
});

/** The process that the launcher waits for, as soon as there is one. */
async function nodeBelow(launcher: number | undefined): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const children = readFileSync(`/proc/${launcher}/task/${launcher}/children`, 'latin1').trim().split(' ');
    const node = children.find((pid) => pid !== '' && /^(node|MainThread)/.test(nameOf(pid)));
    if (node !== undefined) return Number(node);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('the launcher has started no node');
}

/** Empty for a process that has just gone: the shell has short-lived children, too. */
function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1');
  } catch {
    return '';
  }
}

function namespacesWork(): boolean {
  try {
    execFileSync('unshare', ['-n', '-m', 'ip', 'link', 'add', 'swallow', 'type', 'veth'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}
