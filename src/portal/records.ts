import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

/**
 * The A and AAAA records of a portal's name: looked up once, and each tried once, in the order in which a socket takes them up. An address
 * that is no name has none.
 */
export class Records {
  readonly #resolve: LookupFunction;
  #untried: readonly LookupAddress[] | null = null;

  /** @param resolve asks for all addresses of a name; by default the system, which reads /etc/hosts and caches as it is set up to. */
  constructor(resolve: LookupFunction = bySystem) {
    this.#resolve = resolve;
  }

  /** How many there are that nobody has tried; 0 before they are looked up. */
  get untried(): number {
    return this.#untried?.length ?? 0;
  }

  /** For a socket that is to try those that are left, the next as soon as one does not take a TCP connection. */
  readonly lookUp: LookupFunction = (name, options, done) => {
    if (this.#untried !== null) {
      // Not at once: the socket tells of its first attempt as soon as it has them, and whoever made it must be able to hear that.
      process.nextTick(done, null, [...this.#untried]);
      return;
    }
    this.#resolve(name, options, (error, found) => {
      this.#untried = Array.isArray(found) ? found : [];
      done(error, found);
    });
  };

  tried(ip: string): void {
    this.#untried = this.#untried?.filter(({ address }) => address !== ip) ?? null;
  }
}

// Loaded where there is a name only (load.ts).
const bySystem: LookupFunction = (name, options, done) =>
  process.getBuiltinModule('node:dns').lookup(name, options, done);
