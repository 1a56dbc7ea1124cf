import { setTimeout as delay } from 'node:timers/promises';
import type { PolicyInput } from '../portal/policy.ts';
import type { LogLine } from '../stage/hook-log.ts';
import { type Narrator, paint } from './narrator.ts';
import type { Stage, UserOfDemo } from './stage.ts';

const TELLING =
  /^ocserv_(hook_decisions|events_(delivered|dropped)|circuit_breaker_(requests|failures)_total|portal_call_duration_count|sessions_active)/;

/** The demo showed something else than it said. */
export class NotAsItShouldBe extends Error {}

/** What a connect must come to. */
export interface Expected {
  readonly connected: boolean;
  readonly source: string;
  readonly breaker: string;
  readonly portal: 'answers' | 'is tried in vain' | 'is not asked';
  readonly reason?: string;
}

/** Does things on the stage, shows what came of them, and sees that it is what was expected. */
export class Steps {
  readonly #stage: Stage;
  readonly #narrator: Narrator;
  #count = 0;
  #title = '';
  readonly #took: Record<Expected['portal'], number[]> = {
    answers: [],
    'is tried in vain': [],
    'is not asked': [],
  };

  constructor(stage: Stage, narrator: Narrator) {
    this.#stage = stage;
    this.#narrator = narrator;
  }

  get count(): number {
    return this.#count;
  }

  scene(title: string): void {
    this.#narrator.scene(title);
  }

  async connect(user: UserOfDemo, title: string, expected: Expected): Promise<void> {
    this.#count += 1;
    this.#title = title;
    this.#narrator.step(this.#count, title);
    const { log } = this.#stage.installation;
    await this.#leave(user);
    const from = log.count;
    const { connected, said } = await this.#stage.connect(user);
    this.#narrator.seen('client', paint(connected ? 'green' : 'red', said));
    const line = await log.decision(user, { from });
    inShort(line).forEach((text, index) => {
      this.#narrator.seen(index === 0 ? 'hook' : '', text);
    });
    this.#took[portalOf(line)].push(Math.round(Number(line['duration_ms'])));
    const { source, breaker, reason } = line;
    this.#check({ connected, source, breaker, reason, portal: portalOf(line) }, { ...expected });
  }

  /** Who is still here leaves first. */
  async #leave(user: UserOfDemo): Promise<void> {
    const { log } = this.#stage.installation;
    const last = log.all({ msg: 'connect allowed', username: user }).at(-1);
    if (last === undefined) return;
    const { session_id } = last;
    await this.#stage.leave(user);
    const line = await log.waitFor({ msg: 'disconnect recorded', session_id });
    const bytes = `${line['bytes_in']} bytes in, ${line['bytes_out']} out`;
    this.#narrator.seen('hook', paint('dim', `session ${session_id} ended: ${bytes}`));
  }

  async breakerIs(state: string, more = ''): Promise<void> {
    const seen = await this.#breaker();
    this.#narrator.seen('breaker', `${paint(seen === 'closed' ? 'green' : 'yellow', seen)}${more}`);
    this.#check({ breaker: seen }, { breaker: state });
  }

  /** What it took the hook to answer, by what became of the portal. */
  compareTimes(): void {
    this.#narrator.event("the hook's own time, from its start to its answer:");
    for (const [portal, times] of Object.entries(this.#took))
      this.#narrator.seen('', `${times.join(', ')} ms where the portal ${portal}`);
  }

  async eventsWait(title: string): Promise<void> {
    this.#narrator.event(title);
    const pending = await this.#pending();
    this.#narrator.seen('outbox', paint('yellow', `${pending} events`));
    this.#check({ waiting: pending > 0 }, { waiting: true });
  }

  async everythingIsTold(title: string): Promise<void> {
    await this.#until(title, 'waiting', 'empty', async () =>
      (await this.#pending()) === 0 ? 'empty' : 'waiting',
    );
    const { portal } = this.#stage;
    const { log } = this.#stage.installation;
    const began = log.all({ msg: 'connect allowed' }).map((line) => line['session_id']);
    const ended = log.all({ msg: 'disconnect recorded' }).map((line) => line['session_id']);
    // What it has taken it has said, but we may not have read it yet.
    for (const session_id of began) await portal.call({ rpc: 'ReportConnect', session_id });
    for (const session_id of ended) await portal.call({ rpc: 'ReportDisconnect', session_id });
    const told = (rpc: string) =>
      portal.calls({ rpc }).filter(({ answer }) => (answer as LogLine)['status'] === 'OK');
    const connects = told('ReportConnect').map((call) => call['session_id']);
    const disconnects = told('ReportDisconnect').map((call) => call['session_id']);
    this.#narrator.seen(
      'portal',
      paint('green', `${connects.length} connects, ${disconnects.length} disconnects`),
    );
    const bytes = told('ReportDisconnect').reduce((sum, call) => sum + bytesOf(call), 0n);
    this.#narrator.seen('', `each once, with its bytes (${bytes} in all)`);
    this.#check(
      { connects: connects.sort().join(), disconnects: disconnects.sort().join() },
      { connects: began.sort().join(), disconnects: ended.sort().join() },
    );
  }

  async #pending(): Promise<number> {
    return (JSON.parse(await this.#command('events', 'status', '--json')) as { pending: number }).pending;
  }

  async setPolicy(policy: PolicyInput): Promise<void> {
    await this.#stage.portal.setPolicy(policy);
    this.#narrator.event(
      policy.down === true ? 'the portal refuses connections' : 'the portal answers again',
    );
  }

  async untilStale(user: UserOfDemo, why: string): Promise<void> {
    await this.#until(why, 'fresh', 'stale', async () => {
      const json = await this.#command('cache', 'show', '--user', user, '--json');
      return (JSON.parse(json) as { state: string }[])[0]?.state ?? 'gone';
    });
  }

  async untilHalfOpen(why: string): Promise<void> {
    await this.#until(why, 'open', 'half-open', () => this.#breaker());
  }

  async showStatus(): Promise<void> {
    this.#narrator.say(`\n${await this.#command('status')}`);
  }

  /** The metrics that tell the story, which must have counted each step once. */
  async showMetrics(): Promise<void> {
    const lines = (await this.#command('metrics', 'show')).split('\n');
    const shown = lines.filter((line) => TELLING.test(line) && !line.endsWith(' 0'));
    this.#narrator.say(`\n${shown.join('\n')}\n`);
    const counted = shown
      .filter((line) => line.startsWith('ocserv_hook_decisions_total'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    this.#check({ counted }, { counted: this.#count });
  }

  /** Only time leads from `before` to `after`, and nothing tells when it has. */
  async #until(why: string, before: string, after: string, look: () => Promise<string>): Promise<void> {
    this.#narrator.event(why);
    let seen = await look();
    for (; seen === before; seen = await look()) await delay(100);
    if (seen !== after) throw new NotAsItShouldBe(`${why}: it is ${seen} and not ${after}`);
  }

  #check(seen: Readonly<Record<string, unknown>>, expected: Readonly<Record<string, unknown>>): void {
    const wrong = Object.entries(expected).filter(([name, value]) => seen[name] !== value);
    if (wrong.length === 0) return;
    const list = wrong.map(([name, value]) => `${name}: ${seen[name]} instead of ${value}`).join(', ');
    throw new NotAsItShouldBe(`step ${this.#count} (${this.#title}) was not as it should be: ${list}`);
  }

  async #breaker(): Promise<string> {
    return (JSON.parse(await this.#command('breaker', 'status', '--json')) as { state: string }).state;
  }

  async #command(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.#stage.installation.command(...args);
    if (status === 0) return stdout;
    throw new NotAsItShouldBe(`ocagent-hook ${args.join(' ')} ended with ${status}: ${stderr || stdout}`);
  }
}

function bytesOf(call: LogLine): bigint {
  const { stats } = call['request'] as { stats: { bytesReceived: string; bytesSent: string } };
  return BigInt(stats.bytesReceived) + BigInt(stats.bytesSent);
}

function portalOf(line: LogLine): Expected['portal'] {
  if (line['source'] === 'portal') return 'answers';
  return line['portal_error'] === null ? 'is not asked' : 'is tried in vain';
}

/** The hook's own line of a decision in a few words, and on a line of its own the reason where it gave one. */
function inShort(line: LogLine): string[] {
  const { allowed, source, breaker, reason } = line;
  const verdict = paint(allowed === true ? 'green' : 'red', allowed === true ? 'allowed' : 'denied');
  const took = paint('bold', `${Math.round(Number(line['duration_ms']))} ms`);
  const words = `${verdict}, source ${source}, breaker ${breaker}, ${took}`;
  return reason === '' ? [words] : [words, `reason: ${reason}`];
}
