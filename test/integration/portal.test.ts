import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { type ServiceError, status } from '@grpc/grpc-js';
import { callLine } from '../../scripts/portal/calls.ts';
import { makeCertificates } from '../../scripts/portal/certificates.ts';
import { PolicyError, type PolicyInput } from '../../scripts/portal/policy.ts';
import { type Portal, startPortal } from '../../scripts/portal/portal.ts';
import { DisconnectReason } from '../../src/portal/gen/vpn/v1/events.ts';
import { PortalAgent } from './portal-agent.ts';

const ROOT = resolve(import.meta.dirname, '../..');
mkdirSync(join(ROOT, 'build'), { recursive: true });
const scratch = mkdtempSync(join(ROOT, 'build/portal-test-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const certificates = await makeCertificates(join(scratch, 'certs'));

const portalWith = (policy: PolicyInput) => startPortal({ certificates: certificates.directory, policy });
const agentOf = (portal: Portal, deadlineMs?: number) =>
  new PortalAgent(portal.address, certificates, deadlineMs);

function hasStatus(code: status, details: RegExp = /./) {
  return (error: ServiceError) => {
    assert.equal(status[error.code], status[code], error.message);
    assert.match(error.details, details);
    return true;
  };
}

async function tcpError(portal: Portal): Promise<string | undefined> {
  const socket = connectTcp(portal.port, portal.host);
  const error = await Promise.race([
    once(socket, 'connect').then(() => undefined),
    once(socket, 'error'),
  ]).catch((cause: NodeJS.ErrnoException) => [cause]);
  socket.destroy();
  return error?.[0]?.code;
}

describe('the portal answers what its policy says', () => {
  test('an allowed user gets the routes, name servers and metadata of user and group', async () => {
    await using portal = await portalWith({
      groups: { staff: { routes: ['10.0.0.0/8'], dns_servers: ['10.0.0.53'] } },
      users: { alice: { groups: ['staff'], dns_servers: ['10.0.0.54'], metadata: { cache_ttl: '30s' } } },
    });
    using agent = agentOf(portal);
    assert.deepEqual(await agent.check({ username: 'alice' }), {
      allowed: true,
      denyReason: '',
      routes: ['10.0.0.0/8'],
      dnsServers: ['10.0.0.54'],
      shouldDisconnect: false,
      metadata: { cache_ttl: '30s' },
    });
  });

  test('a user that is not named is denied, with the reason of the default', async () => {
    await using portal = await portalWith({ default: { reason: 'ask the help desk' } });
    using agent = agentOf(portal);
    const answer = await agent.check({ username: 'constructor' });
    assert.deepEqual([answer.allowed, answer.denyReason], [false, 'ask the help desk']);
  });

  test('a client must come from a network of the list, IPv4 or IPv6', async () => {
    await using portal = await portalWith({
      users: { bob: { networks: ['192.0.2.0/24', '2001:db8::/32'] } },
    });
    using agent = agentOf(portal);
    const from = async (clientIp: string) => (await agent.check({ username: 'bob', clientIp })).allowed;
    assert.equal(await from('192.0.2.200'), true);
    assert.equal(await from('2001:db8::7'), true);
    assert.equal(await from('192.0.3.1'), false);
    assert.equal(await from('2001:db9::7'), false);
    assert.equal(await from('no address'), false);
  });

  test('a group that the user is not in is denied', async () => {
    await using portal = await portalWith({ users: { alice: { groups: ['staff'] } } });
    using agent = agentOf(portal);
    assert.equal((await agent.check({ username: 'alice', groupname: 'staff' })).allowed, true);
    const answer = await agent.check({ username: 'alice', groupname: 'root' });
    assert.deepEqual([answer.allowed, answer.denyReason], [false, 'not a member of group root']);
  });

  test('a live session is valid while its user is allowed, unless the policy ends it', async () => {
    await using portal = await portalWith({
      users: {
        alice: {},
        carol: { allowed: false, reason: 'on leave' },
        dave: { valid: false, invalid_reason: 'shift is over', force_disconnect: true },
      },
    });
    using agent = agentOf(portal);
    const valid = { valid: true, invalidReason: '', forceDisconnect: false };
    assert.deepEqual(await agent.validate({ username: 'alice' }), valid);
    const onLeave = { valid: false, invalidReason: 'on leave', forceDisconnect: false };
    assert.deepEqual(await agent.validate({ username: 'carol' }), onLeave);
    const ended = { valid: false, invalidReason: 'shift is over', forceDisconnect: true };
    assert.deepEqual(await agent.validate({ username: 'dave' }), ended);
  });

  test('should_disconnect goes to the decision and to session updates', async () => {
    await using portal = await portalWith({ users: { mallory: { should_disconnect: true } } });
    using agent = agentOf(portal);
    assert.equal((await agent.check({ username: 'mallory' })).shouldDisconnect, true);
    assert.equal((await agent.update({ username: 'mallory' })).shouldDisconnect, true);
    await portal.setPolicy({
      rpc: { ReportSessionUpdate: { should_disconnect: true, disconnect_reason: 'moved' } },
    });
    const answer = await agent.update({ username: 'alice' });
    assert.deepEqual([answer.shouldDisconnect, answer.disconnectReason], [true, 'moved']);
  });

  test('the example policy is valid', async () => {
    const policy = readFileSync(join(ROOT, 'scripts/portal/policy.toml'), 'utf8');
    await using portal = await startPortal({ certificates: certificates.directory, policy });
    using agent = agentOf(portal);
    assert.equal((await agent.check({ username: 'alice' })).allowed, true);
    await assert.rejects(agent.check({ username: 'broken' }), hasStatus(status.INTERNAL));
    assert.equal((await agent.disconnected({ username: 'broken' })).success, true);
  });
});

describe('the portal records what it was told', () => {
  test('calls are kept with their metadata, and counters above 2^53 stay exact', async () => {
    await using portal = await portalWith({ users: { alice: {} } });
    using agent = agentOf(portal);
    const stats = {
      durationSeconds: 9_007_199_254_740_993n,
      bytesReceived: 18_446_744_073_709_551_615n,
      bytesSent: 9_007_199_254_740_995n,
      packetsReceived: 1n,
      packetsSent: 0n,
    };
    const headers = { 'x-agent-id': 'vpn-1', 'x-event-id': '0190-1', 'x-ocserv-vhost': 'guests' };
    const disconnectedAt = new Date('2026-03-01T12:00:00.250Z');
    const reason = DisconnectReason.DISCONNECT_REASON_IDLE_TIMEOUT;
    await agent.disconnected({ username: 'alice', sessionId: 's1', disconnectedAt, reason, stats }, headers);
    await agent.check({ username: 'alice' });

    const [call] = portal.callsOf('ReportDisconnect');
    assert.deepEqual(call?.request.stats, stats);
    assert.deepEqual(call?.request.disconnectedAt, disconnectedAt);
    assert.deepEqual([call?.agentId, call?.eventId, call?.vhost], ['vpn-1', '0190-1', 'guests']);
    assert.equal(call?.answer?.response?.success, true);
    assert.equal(portal.callsOf('CheckPolicy')[0]?.agentId, undefined);
    const line: unknown = JSON.parse(call === undefined ? '' : callLine(call));
    assert.partialDeepStrictEqual(line, {
      rpc: 'ReportDisconnect',
      username: 'alice',
      session_id: 's1',
      'x-agent-id': 'vpn-1',
      'x-ocserv-vhost': 'guests',
      answer: { status: 'OK' },
      request: { stats: { bytesReceived: '18446744073709551615' } },
    });
  });

  test('calls that are held are in flight, and the highest number at once is kept', async () => {
    await using portal = await portalWith({ users: { alice: {} } });
    using agent = agentOf(portal);
    const release = portal.hold('CheckPolicy');
    const held = [1, 2, 3].map(() => agent.check({ username: 'alice' }));
    await portal.arrived(3, 'CheckPolicy');
    assert.equal((await agent.update({ username: 'alice' })).success, true);
    assert.equal(portal.inFlight('CheckPolicy'), 3);
    release();
    await Promise.all(held);
    await agent.check({ username: 'alice' });
    assert.equal(portal.inFlight(), 0);
    assert.equal(portal.maxInFlight('CheckPolicy'), 3);
    assert.equal(portal.maxInFlight('ReportSessionUpdate'), 1);
  });
});

describe('the portal fails on demand', () => {
  test('with a gRPC status for one user, for all, or for one rpc', async () => {
    await using portal = await portalWith({
      error: 'UNAVAILABLE',
      rpc: {
        ReportSessionUpdate: { error: 'OK' },
        ReportDisconnect: { success: false, error: 'OK', message: 'full' },
      },
      users: { alice: { error: 'OK' }, bob: { error: 'INVALID_ARGUMENT', error_message: 'no such name' } },
    });
    using agent = agentOf(portal);
    assert.equal((await agent.check({ username: 'alice' })).allowed, true);
    await assert.rejects(
      agent.check({ username: 'bob' }),
      hasStatus(status.INVALID_ARGUMENT, /^no such name$/),
    );
    await assert.rejects(agent.check({ username: 'carol' }), hasStatus(status.UNAVAILABLE, /policy orders/));
    assert.equal((await agent.update({ username: 'carol' })).success, true);
    assert.deepEqual(await agent.disconnected({ username: 'carol' }), { success: false, message: 'full' });
    assert.deepEqual(
      portal.calls.map((call) => call.answer?.status),
      ['OK', 'INVALID_ARGUMENT', 'UNAVAILABLE', 'OK', 'OK'],
    );
  });

  test('with a delay, and gives up when the client does', async () => {
    await using portal = await portalWith({ users: { slow: { delay: '60ms' }, slower: { delay: '1h' } } });
    using agent = agentOf(portal);
    const before = performance.now();
    assert.equal((await agent.check({ username: 'slow' })).allowed, true);
    // Timers may fire a millisecond early.
    assert.ok(performance.now() - before >= 58);
    using hasty = agentOf(portal, 200);
    await assert.rejects(hasty.check({ username: 'slower' }), hasStatus(status.DEADLINE_EXCEEDED));
    const [, call] = await portal.answered(2);
    assert.equal(call?.answer?.status, 'CANCELLED');
    assert.equal(portal.inFlight(), 0);
  });

  test('with a port that refuses connections, and comes back on the same port', async () => {
    await using portal = await portalWith({ users: { alice: {} } });
    const { address } = portal;
    using agent = agentOf(portal);
    portal.hold('CheckPolicy');
    const lost = assert.rejects(agent.check({ username: 'alice' }), hasStatus(status.UNAVAILABLE));
    await portal.arrived(1);
    await portal.stop();
    await lost;
    assert.equal(portal.connections.open, 0);
    assert.equal(await tcpError(portal), 'ECONNREFUSED');
    await portal.start();
    assert.equal(portal.address, address);
    using again = agentOf(portal);
    assert.equal((await again.update({ username: 'alice' })).success, true);
  });

  test('down and up by its policy', async () => {
    await using portal = await portalWith({ down: true });
    assert.equal(await tcpError(portal), 'ECONNREFUSED');
    await portal.setPolicy({ users: { alice: {} } });
    using agent = agentOf(portal);
    assert.equal((await agent.check({ username: 'alice' })).allowed, true);
    await portal.setPolicy({ down: true });
    assert.equal(await tcpError(portal), 'ECONNREFUSED');
  });

  test('but not with a policy that is wrong: it keeps the old one and names the mistake', async () => {
    await using portal = await portalWith({ users: { alice: {} } });
    const mistakes: [string, RegExp][] = [
      ['[users.alice]\nalowed = true', /users\.alice\.alowed is not known; known here: .*allowed/],
      [
        '[users.alice]\nnetworks = ["10.0.0.0/33"]',
        /users\.alice\.networks\[0\] is "10\.0\.0\.0\/33"; write/,
      ],
      ['[users.alice]\nerror = "DOWN"', /users\.alice\.error is "DOWN"; write a gRPC status/],
      ['delay = "soon"', /delay is "soon"; write a duration/],
      ['down = [', /1: {2}down = \[/],
      ['', /the file is empty/],
    ];
    for (const [text, message] of mistakes) {
      await assert.rejects(portal.setPolicy(text), (error) => {
        assert.ok(error instanceof PolicyError);
        assert.match(error.message, message);
        return true;
      });
    }
    using agent = agentOf(portal);
    assert.equal((await agent.check({ username: 'alice' })).allowed, true);
  });
});
