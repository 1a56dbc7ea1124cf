import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Failure } from '../../src/policy/types.ts';
import { diagnose } from '../../src/portal/diagnose.ts';
import { CLOSED, CLOSED_BY_US, type Fault, faultOf, goneAway, NO_HTTP2 } from '../../src/portal/fault.ts';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { settings } from './fixture.ts';

const CONFIG = settings({ portal: { address: 'portal.example:9091', tls: { enabled: true } } });
const ADDRESS = { host: '127.0.0.1', port: 1 };

function lost(fault: Fault, rest: Partial<FailedAttempt> = {}): Promise<Failure> {
  const attempt = { code: Status.UNAVAILABLE, details: fault.text, reached: false, everReached: false };
  return diagnose({ ...attempt, fault, address: ADDRESS, ...rest }, CONFIG);
}

const failed = (code: string, message = `it said ${code}`): Error =>
  Object.assign(new Error(message), { code });
const of = (...codes: string[]): Fault =>
  faultOf(
    codes.length === 1 ? failed(codes[0] ?? '') : new AggregateError(codes.map((code) => failed(code))),
  );

describe('of a connection that failed', () => {
  const sentences: readonly (readonly [codes: readonly string[], what: RegExp, cure: RegExp])[] = [
    [['ENOTFOUND'], /^the name in 127\.0\.0\.1:1 cannot be resolved: it said ENOTFOUND/, /name server/],
    [['EAI_AGAIN'], /cannot be resolved/, /name server/],
    [['EAI_FAIL'], /cannot be resolved/, /name server/],
    [['ECONNREFUSED'], /^nothing listens on 127\.0\.0\.1:1 \(connection refused\)/, /start the portal/],
    [['ECONNREFUSED', 'ECONNREFUSED'], /^nothing listens on/, /start the portal/],
    [['ENETUNREACH', 'ECONNREFUSED'], /not reached: it said ENETUNREACH, it said ECONNREFUSED$/, /^$/],
    [['EHOSTUNREACH'], /^127\.0\.0\.1:1 was not reached: it said EHOSTUNREACH/, /^$/],
    [['ETIMEDOUT'], /^127\.0\.0\.1:1 was not reached/, /^$/],
    [['CERT_HAS_EXPIRED'], /^the certificate of the portal at 127\.0\.0\.1:1 has expired/, /renew it/],
    [['CERT_NOT_YET_VALID'], /is not yet valid/, /clock/],
    [['SELF_SIGNED_CERT_IN_CHAIN'], /is not signed by portal\.tls\.ca_file/, /CA certificate/],
    [['DEPTH_ZERO_SELF_SIGNED_CERT'], /is not signed by/, /CA certificate/],
    [['UNABLE_TO_GET_ISSUER_CERT_LOCALLY'], /is not signed by/, /CA certificate/],
    [['UNABLE_TO_VERIFY_LEAF_SIGNATURE'], /is not signed by/, /CA certificate/],
    [['CERT_SIGNATURE_FAILURE'], /is not signed by/, /CA certificate/],
    [['ERR_TLS_CERT_ALTNAME_INVALID'], /is for another name/, /server_name/],
    [['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'], /does not speak TLS1\.3 or newer/, /min_version/],
    [['ERR_SSL_UNSUPPORTED_PROTOCOL'], /does not speak TLS1\.3 or newer/, /min_version/],
    [['ERR_SSL_WRONG_VERSION_NUMBER'], /does not speak TLS1\.3 or newer/, /portal\.address/],
    [['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'], /does not speak HTTP\/2/, /"h2"/],
    [['HTTP2_VIOLATION'], /does not speak HTTP\/2/, /"h2"/],
    [['ECONNRESET'], /^the portal at 127\.0\.0\.1:1 closed the connection/, /trusts portal\.tls\.cert_file/],
    [['EPIPE'], /closed the connection/, /trusts portal\.tls\.cert_file/],
  ];
  for (const [codes, what, cure] of sentences) {
    test(`what ${codes.join(' and ')} means is said, and how it is mended`, async () => {
      const failure = await lost(of(...codes));
      assert.match(failure.detail, what);
      assert.match(failure.cure, cure);
      assert.deepEqual(
        [failure.code, failure.counts, failure.misconfigured],
        ['UNAVAILABLE', 'unreached', false],
      );
    });
  }

  test('an end without a word, and a protocol that is none of ours', async () => {
    assert.match((await lost(CLOSED)).detail, /closed the connection: it closed the connection/);
    assert.match((await lost(NO_HTTP2)).detail, /does not speak HTTP\/2/);
  });

  for (const [code, alert] of [
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tlsv1 alert unknown ca'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tlsv13 alert certificate required'],
    ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'ssl/tls alert bad certificate'],
    ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', 'ssl/tls alert certificate expired'],
    ['ERR_SSL_TLSV1_ALERT_ACCESS_DENIED', 'tlsv1 alert access denied'],
  ] as const) {
    test(`it is our certificate that the portal does not take: ${code}`, async () => {
      const text = `00A1:error:0A000418:SSL routines:ssl3_read_bytes:${alert}:../x.c:1:SSL alert number 48`;
      for (const reached of [false, true]) {
        const failure = await lost(faultOf(failed(code, text)), { reached, everReached: reached });
        assert.match(failure.detail, /refused our certificate portal\.tls\.cert_file/);
        assert.match(failure.detail, new RegExp(`: ${alert.replace(/^.*alert /, '')}$`));
        assert.deepEqual([failure.code, failure.counts], ['LOCAL', 'no']);
      }
    });
  }

  test('another alert is no word about our certificate', async () => {
    const text = 'error:0A000410:SSL routines:ssl3_read_bytes:ssl/tls alert handshake failure:../x.c:1';
    const failure = await lost(faultOf(failed('ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', text)));
    assert.equal(failure.counts, 'unreached');
  });

  test('it was lost where it had stood: the request could have provoked that', async () => {
    for (const fault of [of('ECONNRESET'), CLOSED, goneAway(11), of('HTTP2_VIOLATION')]) {
      const failure = await lost(fault, { reached: true, everReached: true });
      assert.equal(failure.detail, `the connection to 127.0.0.1:1 was lost: ${fault.text}`);
      assert.equal(failure.counts, 'provokable');
    }
    assert.equal((await lost(of('ECONNREFUSED'), { everReached: true })).counts, 'provokable');
  });
});

test('what we ended ourselves is nobody’s fault', async () => {
  const failure = await lost(CLOSED_BY_US, { code: Status.CANCELLED });
  assert.deepEqual([failure.code, failure.detail, failure.cure], ['CANCELLED', CLOSED_BY_US.text, '']);
});

test('what the portal says is its word, whatever it sounds like', async () => {
  for (const details of ['tlsv1 alert unknown ca', 'ECONNREFUSED', 'certificate has expired', 'ENOTFOUND']) {
    const attempt = { code: Status.UNAVAILABLE, details, fault: null, reached: true, everReached: true };
    const failure = await diagnose({ ...attempt, address: ADDRESS }, CONFIG);
    assert.deepEqual([failure.code, failure.detail, failure.cure], ['UNAVAILABLE', details, '']);
  }
});
