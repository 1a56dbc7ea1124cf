import type { DecisionKey } from '../../src/state/decisions.ts';

/** An entry as the documentation of the cache describes it, by the order in which things happened. */
export interface Entry {
  readonly key: DecisionKey;
  readonly allowed: boolean;
  readonly asked: number;
  readonly answered: number;
  readonly note: string;
}

/** When a question went out. Null: nobody could say, because the state could not be written then. */
export type Asked = number | null;

/** The cache in memory: a list in the order of use, the latest last, and the moments up to which answers are void. */
export class CacheModel {
  entries: Entry[] = [];
  #voidUntil = new Map<string, number>();
  #allowancesVoidUntil = new Map<string, number>();
  #everybodyVoidUntil = -1;
  #moment = 0;
  readonly #maxSize: number;

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  tick(): number {
    return ++this.#moment;
  }

  find(key: DecisionKey): Entry | undefined {
    return this.entries.find((entry) => same(entry.key, key));
  }

  /** A hit: the entry is now the last one to be evicted. */
  use(key: DecisionKey): void {
    const entry = this.find(key);
    if (entry !== undefined) this.entries = [...this.entries.filter((one) => one !== entry), entry];
  }

  answer(key: DecisionKey, asked: Asked, allowed: boolean, note: string): void {
    const kept = this.find(key);
    if (!this.#mayStand(key, asked, allowed, kept)) return;
    this.entries = this.entries.filter((one) => one !== kept);
    this.entries.push({ key, allowed, asked: asked ?? 0, answered: this.tick(), note });
    if (kept === undefined) this.entries.splice(0, this.entries.length - this.#maxSize);
  }

  #mayStand(key: DecisionKey, asked: Asked, allowed: boolean, kept: Entry | undefined): boolean {
    // Without a moment an allowance may be older than anything; a denial stands where none stands yet.
    if (asked === null) return !allowed && kept?.allowed !== false;
    if (asked <= Math.max(this.#everybodyVoidUntil, this.#voidUntil.get(key.username) ?? -1)) return false;
    // Taking back allowances takes back no denial: an outage must not let in whom the portal has just refused.
    if (allowed && asked <= (this.#allowancesVoidUntil.get(key.username) ?? -1)) return false;
    if (kept === undefined) return true;
    const overlap = asked < kept.answered;
    if (overlap && !allowed && kept.allowed) return true;
    if (overlap && allowed && !kept.allowed) return false;
    return asked > kept.asked;
  }

  dropAllowance(key: DecisionKey): void {
    this.#allowancesVoidUntil.set(key.username, this.tick());
    this.entries = this.entries.filter((entry) => !(same(entry.key, key) && entry.allowed));
  }

  revoke(username: string): void {
    this.#allowancesVoidUntil.set(username, this.tick());
    this.entries = this.entries.filter((entry) => !(entry.key.username === username && entry.allowed));
  }

  forgetUser(username: string): void {
    this.#voidUntil.set(username, this.tick());
    this.entries = this.entries.filter((entry) => entry.key.username !== username);
  }

  forgetAll(): void {
    this.#everybodyVoidUntil = this.tick();
    this.entries = [];
  }
}

function same(a: DecisionKey, b: DecisionKey): boolean {
  return (
    a.username === b.username &&
    a.vhost === b.vhost &&
    a.groupname === b.groupname &&
    a.clientIp === b.clientIp
  );
}
