import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { type Storm, storm } from './storm.ts';

/** The share of the processors that others may have had, for a machine to be called quiet. */
const QUIET = 0.15;
/** Storms that may be thrown away in waiting for it. */
const MOST_WASTED = 6;

/**
 * Storms of empty scripts, with which those of hooks are compared. Where others work on this machine, too, one is made again until
 * they leave most of it: what comes right after it has a chance to be comparable. Only so often: then it is measured all the same.
 */
export class Probes {
  readonly #bench: Bench;
  #made = 0;
  #wasted = 0;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  async quiet(count: number): Promise<Storm> {
    for (;;) {
      const probe = await this.#probe(count);
      if (probe.elsewhere <= QUIET || this.#wasted === MOST_WASTED) return probe;
      this.#wasted += 1;
    }
  }

  async #probe(count: number): Promise<Storm> {
    const { folder, emptyCommand } = this.#bench;
    const place = join(folder, `empty-${this.#made++}`);
    mkdirSync(place);
    // It goes by no configuration, but by this its processes are known.
    const env = { OCAGENT_CONFIG: join(place, 'none') };
    const stormed = await storm(place, emptyCommand, { count, first: 0, env });
    if (stormed.endings.some(({ status }) => status !== 0)) throw new Error('an empty script failed');
    return stormed;
  }
}
