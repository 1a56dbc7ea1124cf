import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type PortalCalls, portalCalls } from '../../src/portal/calls.ts';
import type { Met } from '../../src/portal/line.ts';
import { settings } from '../unit/fixture.ts';
import { grpcServer, listening } from './doctor-servers.ts';
import { withPortal } from './fixture.ts';

const SESSION = { username: 'alice', sessionId: '1-1', clientIp: '', vhost: null };

describe('a connection to the portal tells', () => {
  const fixture = withPortal({ users: { alice: { valid: true } } });

  function meeting(address: string): { met: Met[]; calls: PortalCalls } {
    const { ca, agentCertificate, agentKey } = fixture.certificates;
    const tls = { ca_file: ca, cert_file: agentCertificate, key_file: agentKey };
    const met: Met[] = [];
    const calls = portalCalls(settings({ portal: { address, tls } }), (one) => met.push(one));
    return { met, calls };
  }

  test("the portal's time and when its certificate expires, once for all its calls", async () => {
    const { met, calls } = meeting(fixture.portal.address);
    for (let i = 0; i < 3; i++) assert.ok('valid' in (await calls.validate(SESSION)));
    calls.close();
    const [first, ...more] = met;
    assert.deepEqual(more, []);
    const { validToDate } = new X509Certificate(readFileSync(fixture.certificates.serverCertificate));
    assert.deepEqual(first?.certificateExpiry, validToDate);
    assert.ok(Math.abs(Date.now() - Number(first?.portalTime)) < 3_000, String(first?.portalTime));
  });

  test('the same by an answer that is an error', async () => {
    await fixture.portal.setPolicy({ error: 'PERMISSION_DENIED' });
    const { met, calls } = meeting(fixture.portal.address);
    assert.ok('failure' in (await calls.validate(SESSION)));
    calls.close();
    assert.equal(met.length, 1);
    assert.notEqual(met[0]?.certificateExpiry, null);
    assert.notEqual(met[0]?.portalTime, null);
  });

  test('nothing while nobody answers', async () => {
    const { met, calls } = meeting(fixture.portal.address);
    await fixture.portal.stop();
    assert.ok('failure' in (await calls.validate(SESSION)));
    calls.close();
    assert.deepEqual(met, []);
  });

  test('anew after it was lost', async () => {
    const { met, calls } = meeting(fixture.portal.address);
    await calls.validate(SESSION);
    await fixture.portal.stop();
    await calls.validate(SESSION);
    await fixture.portal.start();
    assert.ok('valid' in (await calls.validate(SESSION)));
    calls.close();
    assert.equal(met.length, 2);
  });

  test('no time where the portal sends none', async () => {
    await using silent = await listening(grpcServer(fixture.certificates, null));
    const { met, calls } = meeting(silent.address);
    await calls.validate(SESSION);
    calls.close();
    assert.equal(met[0]?.portalTime, null);
    assert.notEqual(met[0]?.certificateExpiry, null);
  });
});
