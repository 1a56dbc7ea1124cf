import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Server } from '../../src/leader/serve.ts';
import type { PortalResult, Request } from '../../src/policy/types.ts';
import type { PortalCalls } from '../../src/portal/calls.ts';
import { takeLead } from '../../src/state/leader.ts';
import type { Question } from '../../src/state/questions.ts';
import type { State } from '../../src/state/state.ts';
import { rouse } from '../../src/state/wake.ts';
import { openState, scratch, settings } from './fixture.ts';
import { ALICE, ALLOW } from './portal.ts';
import { asks, keepAlive, leaderRow, PORTAL, questionRows, stranger } from './siblings.ts';

/** The portal as the leader sees it: calls come in, and are answered when the test says so. */
export class Calls implements Pick<PortalCalls, 'checkPolicy' | 'isConnected'> {
  isConnected = false;
  readonly asked: {
    user: string;
    budget: number;
    settle: (result: PortalResult) => void;
    fail: (error: unknown) => void;
  }[] = [];
  #came: () => void = () => {};

  checkPolicy({ username }: Request, budget: number): Promise<PortalResult> {
    const { promise, resolve, reject } = Promise.withResolvers<PortalResult>();
    this.asked.push({ user: username, budget, settle: resolve, fail: reject });
    this.#came();
    return promise;
  }

  async came(count: number): Promise<void> {
    while (this.asked.length < count) {
      await new Promise<void>((resolve) => {
        this.#came = resolve;
      });
    }
  }

  /** Answers what has not been answered. */
  settle(say: (user: string) => PortalResult = () => ALLOW): void {
    for (const { user, settle } of this.asked) settle(say(user));
  }
}

export async function leading(t: TestContext, alive = true, stoodBefore = false) {
  const path = join(scratch(t), 'state.db');
  const state: State = await openState(path);
  const calls = new Calls();
  const term = await state.step((tx) => takeLead(tx, PORTAL));
  if (alive) keepAlive(state);
  const sibling = stranger(t);
  const leave = { when: (_idle: number): boolean => false };
  // Whatever the test has found: who does not hold the lead goes.
  t.after(async () => {
    await state.step((tx) => tx.write('UPDATE leader SET pid = 0'));
    rouse();
  });
  const server = new Server({
    config: settings(),
    state,
    term,
    calls: calls as unknown as PortalCalls,
    stoodBefore,
    mayLeave: (idle) => leave.when(idle),
  });
  const request = (username: string) => JSON.stringify({ ...ALICE, username });
  return {
    path,
    state,
    calls,
    server,
    sibling,
    leave,
    ask: (...users: string[]): Promise<Question[]> =>
      state.step((tx) => users.map((user) => asks(tx, sibling.pid, { request: request(user) }))),
    rows: () => state.step(questionRows),
    leader: () => state.step(leaderRow),
  };
}

export const users = (count: number): string[] => Array.from({ length: count }, (_, i) => `user-${i}`);

/** A monotonic clock that the test sets forward, in seconds. */
export function forward(t: TestContext): { ahead: number } {
  const clock = { ahead: 0 };
  const real = process.hrtime;
  const moved = (): [number, number] => {
    const [seconds, nanoseconds] = real();
    return [seconds + clock.ahead, nanoseconds];
  };
  t.mock.property(
    process,
    'hrtime',
    Object.assign(moved, { bigint: () => real.bigint() + BigInt(clock.ahead) * 1_000_000_000n }),
  );
  return clock;
}

/** Whether it has ended `by` then. That it has not is looked at for a moment only, that it has for as long as it may take. */
export async function ended(serving: Promise<unknown>, by: number): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), by);
  const result = await Promise.race([serving.then(() => true), timeout.promise]);
  clearTimeout(timer);
  return result;
}
export const A_MOMENT = 300;
export const LONGEST = 10_000;
