import type { Failure } from '../policy/types.ts';

/** Users in a row for whom the portal failed, after which it may be the one behind this connection that is sick. */
const MOST = 3;

/** What says that the connection, or nobody, is there. Any other status is the portal's own word. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'LOCAL']);

/** Who had better ask over a new connection: nobody yet, that user, or everybody. */
export type Verdict = 'nobody' | 'this user' | 'everybody';

/**
 * Failures in a row over one connection. What the portal says of one user, who may be able to provoke it, must not take the connection from
 * all; so, as for the breaker, several of his count once.
 */
export class Strikes {
  readonly #users = new Set<string>();

  answered(): void {
    this.#users.clear();
  }

  failed(username: string, { code }: Failure): Verdict {
    const isAgain = this.#users.has(username);
    this.#users.add(username);
    if (OF_THE_CONNECTION.has(code) || this.#users.size >= MOST) return 'everybody';
    return isAgain ? 'this user' : 'nobody';
  }
}
