import type { Failure } from '../policy/types.ts';

/** Users in a row for whom the portal failed, after which it may be the one behind this connection that is sick. */
const MOST = 3;

/** What says that the connection, or nobody, is there. Any other status is the portal's own word. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'LOCAL']);

/**
 * Whether whoever asks next had better do so over a new connection. What the portal says of one user, who may be able to provoke it, must not
 * take the connection from all; so, as for the breaker, several count once.
 */
export class Strikes {
  readonly #users = new Set<string>();

  answered(): void {
    this.#users.clear();
  }

  /** @returns whether it is enough. */
  failed(username: string, { code }: Failure): boolean {
    this.#users.add(username);
    return OF_THE_CONNECTION.has(code) || this.#users.size >= MOST;
  }
}
