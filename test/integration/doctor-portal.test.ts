import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { Patient } from './doctor-patient.ts';
import { grpcServer, keys, listening } from './doctor-servers.ts';
import { withPortal } from './fixture.ts';
import { MOUNTS } from './mounts.ts';

describe('doctor says of a portal', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('that it answers, over which protocol, with which certificate, and that the clocks agree', async () => {
    await using patient = await Patient.admit(fixture);
    const { code, findings } = await patient.examine();
    assert.equal(code, 0, JSON.stringify(findings, null, 1));
    const portal = findings.filter(({ check }) => check.startsWith('portal.'));
    assert.deepEqual(
      portal.map(({ check, level }) => `${check} ${level}`),
      [
        'portal.tcp ok',
        'portal.certificate ok',
        'portal.tls ok',
        'portal.clock ok',
        'portal.grpc ok',
        'portal.tls.cert_file ok',
        'portal.tls.ca_file ok',
      ],
    );
    assert.match(portal[2]?.what ?? '', /speaks TLSv1\.3 and HTTP\/2/);
  });

  test('that nothing listens there', async () => {
    await using patient = await Patient.admit(fixture);
    await fixture.portal.stop();
    await patient.has(
      'broken',
      'portal.tcp',
      /nothing listens on 127\.0\.0\.1:\d+ \(connection refused\)/,
      /start the portal/,
    );
  });

  test('that its name cannot be resolved', async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure({ address: 'portal.invalid:9091' });
    await patient.has(
      'broken',
      'portal.dns',
      /portal\.invalid cannot be resolved|did not answer for portal\.invalid/,
      /getent ahosts portal\.invalid/,
    );
  });

  for (const [what, route, expected, cure] of [
    ['no way leads there', '', /there is no way to 192\.0\.2\.1:9091 \(ENETUNREACH\)/, /ip route/],
    [
      'its network rejects it',
      'ip route add unreachable 192.0.2.1',
      /no way to .* \(EHOSTUNREACH\)/,
      /ip route/,
    ],
    [
      "this machine's own rules forbid it",
      'ip route add prohibit 192.0.2.1',
      /own firewall forbids .* \(EACCES\)/,
      /nft|iptables/,
    ],
    [
      'a firewall drops what is sent there',
      'ip link add v0 type veth peer name v1; ip link set v1 up; ip link set v0 up arp off; ip route add 192.0.2.1 dev v0',
      /192\.0\.2\.1:9091 does not answer within 3 s/,
      /firewalls/,
    ],
  ] as const) {
    test(`that it cannot be reached: ${what}`, MOUNTS, async () => {
      await using patient = await Patient.admit(fixture);
      patient.configure({ address: '192.0.2.1:9091' });
      const script = `ip link set lo up; ${route || ':'}; exec "$@"`;
      await patient.has('broken', 'portal.tcp', expected, cure, ['unshare', '-n', 'sh', '-ec', script, 'sh']);
    });
  }

  test('that it speaks no TLS', async () => {
    await using patient = await Patient.admit(fixture);
    await using plain = await listening(
      createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))),
    );
    patient.configure({ address: plain.address });
    await patient.has('broken', 'portal.tls', /does not speak TLS$/, /plain-text port/);
  });

  test('that it accepts connections and is silent', async () => {
    await using patient = await Patient.admit(fixture);
    await using silent = await listening(createServer(() => {}));
    patient.configure({ address: silent.address });
    await patient.has('broken', 'portal.tls', /does not answer a TLS handshake within 3 s/, /hangs/);
  });

  test('that it hangs up in the handshake', async () => {
    await using patient = await Patient.admit(fixture);
    await using rude = await listening(createServer((socket) => socket.once('data', () => socket.destroy())));
    patient.configure({ address: rude.address });
    await patient.has(
      'broken',
      'portal.tls',
      /breaks the connection off in the TLS handshake/,
      /log of the portal/,
    );
  });

  test('that it speaks an older TLS than portal.tls.min_version', async () => {
    await using patient = await Patient.admit(fixture);
    await using old = await listening(
      createTlsServer({ ...keys(fixture.certificates), maxVersion: 'TLSv1.2' }),
    );
    patient.configure({ address: old.address });
    await patient.has('broken', 'portal.tls', /does not speak TLS 1\.3 or newer/, /min_version = "TLS1\.2"/);
  });

  for (const [what, options] of [
    ['chooses no protocol', {}],
    ['offers HTTP/1.1 only', { ALPNProtocols: ['http/1.1'] }],
  ] as const) {
    test(`that it speaks no HTTP/2: it ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      await using web = await listening(createTlsServer({ ...keys(fixture.certificates), ...options }));
      patient.configure({ address: web.address });
      await patient.has('broken', 'portal.tls', /no HTTP\/2/, /portal\.address/);
    });
  }

  for (const [status, cure] of [
    ['UNAUTHENTICATED', /portal\.tls\.cert_file is the certificate it expects/],
    ['PERMISSION_DENIED', /grant agent_id the right/],
    ['UNIMPLEMENTED', /make proto-check/],
    ['INTERNAL', /log of the portal/],
    ['UNAVAILABLE', /./],
    ['RESOURCE_EXHAUSTED', /log of the portal/],
  ] as const) {
    test(`that it answers with ${status}`, async () => {
      await using patient = await Patient.admit(fixture);
      await fixture.portal.setPolicy({ error: status });
      await patient.has('broken', 'portal.grpc', new RegExp(`answers with ${status}`), cure);
    });
  }

  for (const status of ['INVALID_ARGUMENT', 'NOT_FOUND'] as const) {
    test(`that it answers, where it calls a session that nobody has ${status}`, async () => {
      await using patient = await Patient.admit(fixture);
      await fixture.portal.setPolicy({ error: status });
      const { code, findings } = await patient.examine();
      assert.equal(code, 0, JSON.stringify(findings, null, 1));
      assert.equal(findings.find(({ check }) => check === 'portal.grpc')?.level, 'ok');
    });
  }

  test('that it shakes hands and does not answer the call', async () => {
    await using patient = await Patient.admit(fixture);
    const release = fixture.portal.hold('ValidateSession');
    try {
      await patient.has('broken', 'portal.grpc', /answers with DEADLINE_EXCEEDED/, /overloaded/);
    } finally {
      release();
    }
  });

  test('that it does not answer the call, without waiting for as long as a connect may', async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure({ portal: 'timeout = "60s"', config: '[hook]\ndeadline = "90s"\n' });
    patient.ocserv({ 'auth-timeout': '600' });
    const release = fixture.portal.hold('ValidateSession');
    try {
      await patient.has('broken', 'portal.grpc', /answers with DEADLINE_EXCEEDED/, /overloaded/);
    } finally {
      release();
    }
  });

  test('which of several addresses is away, as a warning while another one answers', async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure({ address: ['127.0.0.1:1', fixture.portal.address] });
    await patient.has('warning', 'portal.tcp', /nothing listens on 127\.0\.0\.1:1 /, /start the portal/);
  });

  test('that all of several addresses are away', async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure({ address: ['127.0.0.1:1', '127.0.0.1:2'] });
    const { findings } = await patient.has('broken', 'portal.tcp', /127\.0\.0\.1:2 /, /start the portal/);
    assert.equal(findings.filter(({ level }) => level === 'broken').length, 2);
  });
});

describe("doctor compares this machine's clock with the portal's", () => {
  const fixture = withPortal({ default: { allowed: true } });

  for (const [seconds, level, what] of [
    [-20, 'warning', /clock is (19|20|21) s ahead of the portal's/],
    [20, 'warning', /clock is (19|20|21) s behind the portal's/],
    [3_600, 'broken', /clock is (3599|3600|3601) s behind the portal's/],
  ] as const) {
    test(`which is ${seconds} s from it: ${level}`, async () => {
      await using patient = await Patient.admit(fixture);
      const date = new Date(Date.now() + seconds * 1_000);
      await using other = await listening(grpcServer(fixture.certificates, date));
      patient.configure({ address: other.address });
      await patient.has(level, 'portal.clock', what, /timedatectl set-ntp true/);
    });
  }

  test('and says so where the portal does not tell its time', async () => {
    await using patient = await Patient.admit(fixture);
    await using other = await listening(grpcServer(fixture.certificates, null));
    patient.configure({ address: other.address });
    const { code, findings } = await patient.examine();
    assert.equal(code, 0, JSON.stringify(findings, null, 1));
    assert.match(
      findings.find(({ check }) => check === 'portal.clock')?.what ?? '',
      /does not tell its time/,
    );
  });
});
