import type { Log } from '../log/log.ts';
import type { Dropped } from '../state/outbox.ts';

/** What a call of ocserv's came to. */
export interface Outcome {
  /** The exit status, as contract/cli.md has it. */
  readonly status: number;
  /** A drain is wanted, and none is on its way (src/events/send-for-drain.ts). */
  readonly drain: boolean;
  /** What this process still does for its siblings once its own answer is out. */
  readonly stay?: () => Promise<void>;
}

/** Events that had to go so that the outbox keeps its bound. */
export function reportDropped(log: Log, dropped: Dropped): void {
  if (Object.keys(dropped).length === 0) return;
  log.error('events dropped: the outbox is full, and its oldest connects and updates went', {
    ...dropped,
    cure: 'see why the portal takes none (ocagent-hook events status); events.max_pending is the bound',
  });
}
