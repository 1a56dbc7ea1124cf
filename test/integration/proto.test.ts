import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { staleFiles } from '../../scripts/proto/generate.ts';

const ROOT = resolve(import.meta.dirname, '../..');
mkdirSync(join(ROOT, 'build'), { recursive: true });
const scratch = mkdtempSync(join(ROOT, 'build/proto-test-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

let copies = 0;

/** A checkout with our contract, after `edits` of the form [file, old text, new text]. */
function checkout(...edits: [file: 'auth' | 'events', from: string, to: string][]): string {
  copies += 1;
  const copy = join(scratch, String(copies));
  cpSync(join(ROOT, 'proto'), join(copy, 'proto'), { recursive: true });
  cpSync(join(ROOT, 'buf.yaml'), join(copy, 'buf.yaml'));
  for (const [file, from, to] of edits) {
    const path = join(copy, `proto/vpn/v1/${file}.proto`);
    const text = readFileSync(path, 'utf8');
    assert.ok(text.includes(from), `${file}.proto no longer contains "${from}"`);
    writeFileSync(path, text.replace(from, to));
  }
  return copy;
}

function script(name: string, ...args: string[]): { status: number | null; lines: string[]; stderr: string } {
  const run = spawnSync(process.execPath, [join(ROOT, 'scripts/proto', name), ...args], { encoding: 'utf8' });
  return {
    status: run.status,
    lines: run.stdout.split('\n').filter((line) => line !== ''),
    stderr: run.stderr,
  };
}

describe('proto check', () => {
  test('takes two copies that differ only in comments, order and formatting for the same contract', () => {
    const copy = checkout(
      ['auth', '  string vpn_ip = 4;\n', ''],
      ['auth', '  string username = 1;', '  // the address\n  string   vpn_ip=4 ;\n  string username = 1;'],
      ['auth', 'message ValidateSessionRequest', '\n\n/* moved */ message ValidateSessionRequest'],
    );
    const run = script('check.ts', copy);
    assert.equal(run.status, 0, run.lines.join('\n'));
  });

  test('takes the folder itself as well as a checkout, and no notice of where generated code goes', () => {
    const packageLine = 'package vpn.v1;';
    const copy = checkout(['auth', packageLine, `${packageLine}\noption go_package = "example.net/vpnv1";`]);
    assert.equal(script('check.ts', copy).status, 0);
    assert.equal(script('check.ts', join(copy, 'proto')).status, 0);
  });

  const kinds: [kind: string, edit: Parameters<typeof checkout>[0], line: string][] = [
    [
      'a renumbered field',
      ['events', 'string groupname = 7', 'string groupname = 17'],
      'vpn.v1.ReportConnectRequest.groupname: ours field 7 string, theirs field 17 string',
    ],
    [
      'another scalar type',
      ['events', 'int64 duration_seconds', 'sint64 duration_seconds'],
      'vpn.v1.SessionStats.duration_seconds: ours field 1 int64, theirs field 1 sint64',
    ],
    [
      'another message type',
      ['auth', 'google.protobuf.Timestamp request_time = 7', 'CheckPolicyResponse request_time = 7'],
      'vpn.v1.CheckPolicyRequest.request_time: ours field 7 google.protobuf.Timestamp, theirs field 7 vpn.v1.CheckPolicyResponse',
    ],
    [
      'another label',
      ['auth', 'repeated string routes', 'string routes'],
      'vpn.v1.CheckPolicyResponse.routes: ours field 3 repeated string, theirs field 3 string',
    ],
    [
      'presence',
      ['auth', 'bool allowed', 'optional bool allowed'],
      'vpn.v1.CheckPolicyResponse.allowed: ours field 1 bool, theirs field 1 optional bool',
    ],
    [
      "a map's value",
      ['auth', 'map<string, string> metadata', 'map<string, bytes> metadata'],
      'vpn.v1.CheckPolicyResponse.metadata: ours field 6 map<string, string>, theirs field 6 map<string, bytes>',
    ],
    [
      'a oneof',
      ['auth', 'string invalid_reason = 2;', 'oneof why { string invalid_reason = 2; }'],
      'vpn.v1.ValidateSessionResponse.invalid_reason: ours field 2 string, theirs field 2 string in oneof why',
    ],
    [
      'an option',
      ['auth', 'string device = 6', 'string device = 6 [deprecated = true]'],
      'vpn.v1.CheckPolicyRequest.device: ours field 6 string, theirs field 6 string [deprecated = true]',
    ],
    [
      'a JSON name',
      ['auth', 'string device = 6', 'string device = 6 [json_name = "dev"]'],
      'vpn.v1.CheckPolicyRequest.device: ours field 6 string, theirs field 6 string with the JSON name dev',
    ],
    [
      'a reserved number',
      ['auth', 'bool valid = 1;', 'bool valid = 1; reserved 9;'],
      'vpn.v1.ValidateSessionResponse: ours message in vpn/v1/auth.proto, theirs message in vpn/v1/auth.proto reserved 9-9',
    ],
    [
      'a field that they lack',
      ['auth', '  string device = 6;\n', ''],
      'vpn.v1.CheckPolicyRequest.device: ours field 6 string, theirs lacks it',
    ],
    [
      'a field that we lack',
      ['auth', 'bool valid = 1;', 'bool valid = 1; string note = 4;'],
      'vpn.v1.ValidateSessionResponse.note: ours lacks it, theirs field 4 string',
    ],
    [
      'a message that we lack, without a line for each of its fields',
      ['auth', 'message CheckPolicyRequest', 'message Extra { string a = 1; }\nmessage CheckPolicyRequest'],
      'vpn.v1.Extra: ours lacks it, theirs message in vpn/v1/auth.proto',
    ],
    [
      "an enum value's number",
      ['events', 'SESSION_STATUS_DEGRADED = 3', 'SESSION_STATUS_DEGRADED = 4'],
      'vpn.v1.SessionStatus.SESSION_STATUS_DEGRADED: ours enum value 3, theirs enum value 4',
    ],
    [
      'a stream',
      ['auth', 'rpc CheckPolicy(CheckPolicyRequest)', 'rpc CheckPolicy(stream CheckPolicyRequest)'],
      'vpn.v1.AuthService.CheckPolicy: ours rpc (vpn.v1.CheckPolicyRequest) returns (vpn.v1.CheckPolicyResponse), theirs rpc (stream vpn.v1.CheckPolicyRequest) returns (vpn.v1.CheckPolicyResponse)',
    ],
    [
      'a method that they lack',
      ['auth', '  rpc ValidateSession(ValidateSessionRequest) returns (ValidateSessionResponse);\n', ''],
      'vpn.v1.AuthService.ValidateSession: ours rpc (vpn.v1.ValidateSessionRequest) returns (vpn.v1.ValidateSessionResponse), theirs lacks it',
    ],
  ];
  for (const [kind, edit, line] of kinds) {
    test(`names ${kind}`, () => {
      const run = script('check.ts', checkout(edit));
      assert.deepEqual(run.lines, [line]);
      assert.equal(run.status, 1);
    });
  }

  test('names every difference, not only the first', () => {
    const copy = checkout(
      ['auth', 'string vpn_ip = 4', 'string vpn_ip = 8'],
      ['events', 'DISCONNECT_REASON_IDLE_TIMEOUT', 'DISCONNECT_REASON_IDLE'],
    );
    assert.equal(script('check.ts', copy).lines.length, 3);
  });

  test('names a changed package and a file that is missing', () => {
    const lines = script('check.ts', checkout(['auth', 'package vpn.v1;', 'package vpn.v2;'])).lines;
    assert.ok(
      lines.includes(
        'vpn/v1/auth.proto: ours file of package vpn.v1, proto3, theirs file of package vpn.v2, proto3',
      ),
    );
    const copy = checkout();
    rmSync(join(copy, 'proto/vpn/v1/events.proto'));
    const missing = 'vpn/v1/events.proto: ours file of package vpn.v1, proto3, theirs lacks it';
    assert.ok(script('check.ts', copy).lines.includes(missing));
  });

  test('tells what cannot be read from what differs, and says what to do', () => {
    const nothing = script('check.ts', join(ROOT, 'scripts'));
    assert.equal(nothing.status, 2);
    assert.match(nothing.stderr, /has no proto\/vpn\/v1.*give a checkout that contains proto\/vpn\/v1/);
    const broken = script('check.ts', checkout(['auth', 'message CheckPolicyRequest {', 'message {']));
    assert.equal(broken.status, 2);
    assert.match(broken.stderr, /auth\.proto:\d+:\d+:/);
  });
});

describe('breaking gate', () => {
  test('lets the tree pass as it is', () => {
    const run = script('breaking.ts');
    assert.equal(run.status, 0, run.stderr);
  });

  test('lets a new field pass', () => {
    const copy = checkout(['auth', 'bool valid = 1;', 'bool valid = 1; string note = 4;']);
    assert.equal(script('breaking.ts', '--root', copy).status, 0);
  });

  test('stops a renumbered field until the baseline is renewed', () => {
    const copy = checkout(['auth', 'string vpn_ip = 4', 'string vpn_ip = 14']);
    const run = script('breaking.ts', '--root', copy);
    assert.equal(run.status, 1);
    assert.match(run.stderr, /Previously present field "4" with name "vpn_ip".*was deleted/);
    assert.match(run.stderr, /--renew/);
    assert.equal(script('breaking.ts', '--root', copy, '--renew').status, 0);
    assert.equal(script('breaking.ts', '--root', copy).status, 0);
  });

  test('stops a changed type', () => {
    const copy = checkout(['events', 'uint64 bytes_sent', 'string bytes_sent']);
    const run = script('breaking.ts', '--root', copy);
    assert.equal(run.status, 1);
    assert.match(run.stderr, /"bytes_sent".*changed type from "uint64" to "string"/);
  });

  test('does not take what it cannot read for compatible or for incompatible', () => {
    const broken = checkout(['auth', 'message CheckPolicyRequest {', 'message {']);
    assert.equal(script('breaking.ts', '--root', broken).status, 2);
    const noBaseline = checkout();
    rmSync(join(noBaseline, 'proto/baseline.txtpb'));
    assert.equal(script('breaking.ts', '--root', noBaseline).status, 2);
  });
});

describe('generated code', () => {
  test('is what proto/ gives', () => {
    const run = script('generate.ts', '--check');
    assert.equal(run.status, 0, run.stderr);
  });

  test('that is missing, left over or edited is named', () => {
    const fresh = new Map([
      ['a.ts', '1'],
      ['b.ts', '2'],
      ['c.ts', '3'],
    ]);
    const committed = new Map([
      ['a.ts', '1'],
      ['b.ts', 'edited'],
      ['d.ts', '4'],
    ]);
    assert.deepEqual(staleFiles(fresh, committed), [
      'src/portal/gen/b.ts differs',
      'src/portal/gen/c.ts is missing',
      'src/portal/gen/d.ts is no longer generated',
    ]);
  });
});
