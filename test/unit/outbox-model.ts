import type { EventType } from '../../src/accounting/event.ts';

/** An event as the documentation of the outbox describes it. The list that holds it is its order. */
export interface Entry {
  readonly id: string;
  readonly session: string;
  readonly type: EventType;
  /** Wall milliseconds before which it is not sent; 0 for at once. */
  retryAt: number;
  failed: boolean;
  attempts: number;
}

/** The outbox in memory: a list in order, and what was delivered and dropped. */
export class OutboxModel {
  entries: Entry[] = [];
  readonly delivered = { connect: 0, disconnect: 0, update: 0 };
  readonly dropped = { connect: 0, disconnect: 0, update: 0 };
  readonly #maxPending: number;

  constructor(maxPending: number) {
    this.#maxPending = maxPending;
  }

  get pending(): Entry[] {
    return this.entries.filter(({ failed }) => !failed);
  }

  enqueue(id: string, session: string, type: EventType): void {
    // An update makes older ones void, and so does the end. What is set aside waits for a person.
    if (type !== 'connect') {
      this.entries = this.entries.filter(
        (one) => one.failed || one.type !== 'update' || one.session !== session,
      );
    }
    const before = this.pending.filter((one) => one.session === session);
    const retryAt = Math.max(0, ...before.map((one) => one.retryAt));
    this.entries.push({ id, session, type, retryAt, failed: false, attempts: 0 });
    for (;;) {
      const oldest = this.pending.find((one) => one.type !== 'disconnect');
      if (this.pending.length <= this.#maxPending || oldest === undefined) return;
      this.drop(oldest.id);
    }
  }

  nextDue(busy: ReadonlySet<string>, limit: number, now: number): string[] {
    const firsts = this.pending.filter(
      (one, at, all) => all.findIndex(({ session }) => session === one.session) === at,
    );
    return firsts
      .filter(({ session, retryAt }) => !busy.has(session) && retryAt <= now)
      .toSorted((a, b) => a.retryAt - b.retryAt)
      .slice(0, limit)
      .map(({ id }) => id);
  }

  deliver(id: string): void {
    const entry = this.#remove(id);
    if (entry !== undefined) this.delivered[entry.type] += 1;
  }

  drop(id: string): void {
    const entry = this.#remove(id);
    if (entry !== undefined) this.dropped[entry.type] += 1;
  }

  noteTry(id: string): void {
    const entry = this.#find(id);
    if (entry !== undefined) entry.attempts += 1;
  }

  postpone(id: string, until: number): void {
    const entry = this.#find(id);
    if (entry === undefined) return;
    entry.attempts += 1;
    entry.retryAt = until;
    const after = this.entries.slice(this.entries.indexOf(entry) + 1);
    for (const one of after) {
      if (one.session === entry.session && !one.failed) one.retryAt = Math.max(one.retryAt, until);
    }
  }

  setAside(id: string): void {
    const entry = this.#find(id);
    if (entry === undefined) return;
    entry.attempts += 1;
    entry.failed = true;
  }

  retry(id: string): void {
    const entry = this.#find(id);
    if (entry === undefined) return;
    entry.failed = false;
    entry.retryAt = 0;
  }

  /** @param beyond wall milliseconds; waits up to it go on. */
  forgetWaits(beyond: number): void {
    for (const one of this.pending) if (one.retryAt > beyond) one.retryAt = 0;
  }

  #find(id: string): Entry | undefined {
    return this.entries.find((one) => one.id === id);
  }

  #remove(id: string): Entry | undefined {
    const entry = this.#find(id);
    this.entries = this.entries.filter((one) => one !== entry);
    return entry;
  }
}
