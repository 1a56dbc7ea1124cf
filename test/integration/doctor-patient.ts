import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Finding, Level } from '../../src/doctor/finding.ts';
import { now } from '../../src/state/clock.ts';
import { noteMaintainRun } from '../../src/state/maintenance.ts';
import { migrate } from '../../src/state/migrate.ts';
import { Transaction } from '../../src/state/transaction.ts';
import { type Agent, type AgentOptions, LAUNCHER } from './agent.ts';
import type { Fixture } from './fixture.ts';

/** Processes of its own, so that whatever else runs on this machine is not seen. */
export const ALONE = ['unshare', '--pid', '--fork', '--mount-proc'];

/** What `doctor --json` said. */
export interface Diagnosis {
  readonly code: number | null;
  readonly findings: readonly Finding[];
}

/** An installation in which nothing is broken, for a test to break one thing of it. Removed when disposed of. */
export class Patient implements AsyncDisposable {
  readonly agent: Agent;
  readonly ocservConf: string;
  readonly #fixture: Fixture;

  private constructor(agent: Agent, fixture: Fixture) {
    this.agent = agent;
    this.#fixture = fixture;
    this.ocservConf = join(agent.folder, 'ocserv.conf');
  }

  static async admit(fixture: Fixture, config = ''): Promise<Patient> {
    const patient = new Patient(await fixture.install(), fixture);
    patient.configure({ config });
    patient.ocserv();
    // A stand-in for occtl: nobody is there.
    writeFileSync(join(patient.agent.folder, 'occtl'), '#!/bin/sh\necho "[]"\n', { mode: 0o755 });
    patient.#begin();
    return patient;
  }

  /** A state as hooks leave it, with a run of maintain that has just been. */
  #begin(): void {
    const { state } = this.agent;
    const db = new Database(state);
    migrate(db, state);
    noteMaintainRun(new Transaction(db, now(), true));
    db.close();
    chmodSync(state, 0o600);
  }

  /** The configuration anew; `config` is TOML below what every patient has. */
  configure({ config = '', ...options }: Partial<AgentOptions> = {}): void {
    const { folder } = this.agent;
    const has = (table: string, text: string): string =>
      config.includes(`[${table}]`) ? '' : `[${table}]\n${text}\n`;
    this.agent.configure(
      {
        address: this.#fixture.portal.address,
        ...options,
        config: [
          has('events', 'enabled = true'),
          has('telemetry', 'enabled = false'),
          has('log', `file = "${folder}/hook.log"`),
          has('ocserv', `occtl = "${folder}/occtl"\nocctl_socket = "${folder}/occtl.sock"`),
          config,
        ].join('\n'),
      },
      options.certificates ?? this.#fixture.certificates,
    );
  }

  /** ocserv.conf anew; undefined leaves a line out. */
  ocserv(lines: Readonly<Record<string, string | undefined>> = {}, more = ''): void {
    const all = {
      'connect-script': LAUNCHER,
      'disconnect-script': LAUNCHER,
      'host-update-script': LAUNCHER,
      'auth-timeout': '240',
      'use-occtl': 'true',
      'occtl-socket-file': `${this.agent.folder}/occtl.sock`,
      'log-level': '2',
      ...this.#needed(),
      ...lines,
    };
    const text = Object.entries(all).flatMap(([name, value]) =>
      value === undefined ? [] : `${name} = ${value}`,
    );
    writeFileSync(this.ocservConf, `${[...text, more].join('\n')}\n`);
  }

  /** Another virtual host, with these lines in it. */
  vhost(...lines: string[]): string {
    const { auth, 'server-cert': cert, 'server-key': key } = this.#needed();
    const own = [
      `auth = ${auth}`,
      `server-cert = ${cert}`,
      `server-key = ${key}`,
      'ipv4-network = 10.210.0.0/16',
    ];
    return ['[vhost:www.example.net]', ...lines, ...own].join('\n');
  }

  /** Without these ocserv does not start. */
  #needed() {
    const { serverCertificate, serverKey } = this.#fixture.certificates;
    return {
      auth: `"plain[passwd=${this.agent.folder}/passwd]"`,
      'tcp-port': '443',
      'run-as-user': 'nobody',
      'socket-file': `${this.agent.folder}/worker.sock`,
      'server-cert': serverCertificate,
      'server-key': serverKey,
      device: 'vpns',
      'ipv4-network': '10.200.0.0/16',
    };
  }

  /** An executable file in the patient's folder. */
  script(name: string, text: string, mode = 0o755): string {
    const file = join(this.agent.folder, name);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text, { mode });
    return file;
  }

  /** Changes the state by hand. */
  change(sql: string): void {
    const db = new Database(this.agent.state);
    db.exec(sql);
    db.close();
  }

  /** @param inside a command line that runs the one after it, in a network of its own for example. */
  async examine(inside: readonly string[] = []): Promise<Diagnosis> {
    const command = [...inside, LAUNCHER, 'doctor', '--json', '--ocserv-conf', this.ocservConf];
    const { code, stdout, stderr } = await this.agent.start({}, command).ended;
    assert.equal(stderr, '');
    const { findings, ...counts } = JSON.parse(stdout) as Record<string, unknown> &
      Pick<Diagnosis, 'findings'>;
    const number = (level: Level): number => findings.filter((finding) => finding.level === level).length;
    assert.deepEqual(counts, { ok: code === 0, broken: number('broken'), warnings: number('warning') });
    return { code, findings };
  }

  /** The one thing that was broken is found, and nothing else is called broken: with its cause, its cure and the exit status. */
  async has(
    level: Exclude<Level, 'ok'>,
    check: string,
    what: RegExp,
    cure: RegExp,
    inside: readonly string[] = [],
  ): Promise<Diagnosis> {
    const { code, findings } = await this.examine(inside);
    const seen = JSON.stringify(findings, null, 1);
    const found = findings.find((finding) => finding.check === check && what.test(finding.what));
    assert.ok(found !== undefined, `no finding of ${check} like ${what}: ${seen}`);
    assert.equal(found.level, level, found.what);
    assert.match(found.cure, cure);
    assert.notEqual(found.why, '');
    const broken = findings.filter((finding) => finding.level === 'broken').map((finding) => finding.check);
    assert.deepEqual([...new Set(broken)], level === 'broken' ? [check] : [], seen);
    assert.equal(code, level === 'broken' ? 1 : 0);
    return { code, findings };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent[Symbol.asyncDispose]();
  }
}
