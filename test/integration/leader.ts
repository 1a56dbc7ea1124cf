/** Hooks that wait for each other, as a test sees and troubles them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Portal } from '../../scripts/portal/portal.ts';
import { isAlive } from '../../src/state/process.ts';
import { type Agent, CONNECT, type Run } from './agent.ts';

/** Time for a busy machine: what is asserted is who got which answer, not how fast. */
export const PATIENT = ['[hook]\ndeadline = "100s"', 'timeout = "20s"'] as const;

const LONGEST_MS = 90_000;

export interface Row {
  readonly number: number;
  readonly pid: number;
  readonly taken: number;
  readonly answer: string | null;
}

export const questions = (agent: Agent): Row[] =>
  agent.query<Row>('SELECT number, pid, taken, answer FROM question ORDER BY number');

export const leader = (agent: Agent): number =>
  agent.query<{ pid: number }>('SELECT pid FROM leader')[0]?.pid ?? 0;

/** Nothing tells a stranger of what happens in the state, so this looks. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = performance.now() + LONGEST_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Nothing of all that is left: nobody leads, and no question is kept. */
export async function calm(agent: Agent): Promise<void> {
  await nobodyLeads(agent);
  assert.equal(leader(agent), 0, 'and given the lead back');
  assert.deepEqual(questions(agent), []);
}

/** Whoever has led so far has left: it answers nobody and holds nothing any more. */
export async function nobodyLeads(agent: Agent): Promise<void> {
  await until(() => leader(agent) === 0 || !isAlive(leader(agent)), 'the leader has left');
}

export function write(agent: Agent, sql: string, ...values: (string | number)[]): void {
  const db = new Database(agent.state, { timeout: 20_000 });
  try {
    db.prepare(sql).run(...values);
  } finally {
    db.close();
  }
}

/** As though that process led, for the portal that the last leader has asked, and had just been heard of. */
export function leadBy(agent: Agent, pid: number): void {
  write(
    agent,
    'UPDATE leader SET term = term + 1, pid = ?, wall = ?, boot = ?, mono = ?',
    pid,
    Date.now(),
    readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
    Number(process.hrtime.bigint() / 1_000_000n),
  );
}

/** A process that has asked and waits, and never does anything. */
export class Waiter implements Disposable {
  readonly pid: number;
  readonly #agent: Agent;
  readonly #child = spawn('sleep', ['3600'], { stdio: 'ignore' });

  constructor(agent: Agent, username: string, { taken = 0, request = requestOf(username) } = {}) {
    this.#agent = agent;
    this.pid = this.#child.pid ?? 0;
    write(agent, 'UPDATE sequence SET value = value + 1');
    write(
      agent,
      `INSERT INTO question (number, pid, boot, until, request, taken)
       SELECT value, ?, ?, ?, ?, ? FROM sequence`,
      this.pid,
      readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
      Number(process.hrtime.bigint() / 1_000_000n) + 3_600_000,
      request,
      taken,
    );
  }

  get answer(): string | null {
    return questions(this.#agent).find(({ pid }) => pid === this.pid)?.answer ?? null;
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
    write(this.#agent, 'DELETE FROM question WHERE pid = ?', this.pid);
  }
}

function requestOf(username: string): string {
  const { GROUPNAME, IP_REAL, IP_REMOTE, DEVICE } = CONNECT;
  return JSON.stringify({
    vhost: 'default',
    vhostNamed: false,
    username,
    groupname: GROUPNAME,
    clientIp: IP_REAL,
    vpnIp: IP_REMOTE,
    device: DEVICE,
    sessionId: '1-1',
  });
}

export interface Staying extends Disposable {
  /** What ocserv has been told. */
  readonly run: Run;
  /** The process that goes on. */
  readonly pid: number;
  /** Who makes it go on: its call is held at the portal. */
  readonly waiter: Waiter;
  release(): void;
}

/** Keeps calls until it is released, at the latest with the test. */
export function holding(portal: Portal): Disposable & { release(): void } {
  const release = portal.hold('CheckPolicy');
  return { release, [Symbol.dispose]: release };
}

/** A leader whose connect is answered, and whose call for another one is held. */
export async function stays(agent: Agent, portal: Portal, username: string, env = {}): Promise<Staying> {
  const before = portal.callsOf('CheckPolicy').length;
  const releaseOwn = portal.hold('CheckPolicy');
  const { ended } = agent.start({ ...CONNECT, USERNAME: username, ...env });
  await portal.arrived(before + 1, 'CheckPolicy', LONGEST_MS);
  const pid = leader(agent);
  assert.ok(isAlive(pid));
  // It is not woken for this one: it finds it when its own decision stands.
  const waiter = new Waiter(agent, 'waiter');
  releaseOwn();
  // The own call is through, the other one is yet to come.
  await new Promise((resolve) => setImmediate(resolve));
  const release = portal.hold('CheckPolicy');
  const run = await ended;
  await portal.arrived(before + 2, 'CheckPolicy', LONGEST_MS);
  return {
    run,
    pid,
    waiter,
    release,
    [Symbol.dispose]() {
      release();
      waiter[Symbol.dispose]();
    },
  };
}
