import type { Config } from '../config/schema.ts';
import { OLD_EVENT_SECONDS } from '../metrics/limits.ts';
import { drainStatus } from '../state/drain.ts';
import { tallyOutbox } from '../state/outbox-list.ts';
import type { Transaction } from '../state/transaction.ts';
import { type Age, ageOf } from './age.ts';
import { broken, type Finding, note, ok, warning } from './finding.ts';

/** Of events.max_pending. */
const NEARLY_FULL = 0.8;

/** The events that the portal has not taken, and what keeps it from doing so. */
export function checkBacklog(tx: Transaction, { events }: Config): Finding[] {
  const { pending, failed, oldestAt } = tallyOutbox(tx);
  const drain = drainStatus(tx);
  const age = oldestAt === null ? 0 : ageOf(oldestAt, tx.now.wall);
  const error = drain.lastError ?? lastErrorOfEvents(tx);
  return [
    ...backlog(events.enabled, pending, age, drain.lastError, error),
    ...(age === 'in the future' ? [fromTheFuture()] : []),
    ...(pending > events.max_pending * NEARLY_FULL ? [nearlyFull(pending, events.max_pending)] : []),
    ...(failed > 0 ? [setAside(failed)] : []),
  ];
}

function backlog(
  enabled: boolean,
  pending: number,
  age: Age,
  away: string | null,
  error: string | null,
): Finding[] {
  const check = 'events.backlog';
  if (!enabled) {
    if (pending === 0) return [];
    const why = 'nothing is sent while that stands';
    const cure = 'set events.enabled = true, or give them up: ocagent-hook events drop';
    return [note(check, `${pending} event(s) wait, and events.enabled = false`, why, cure)];
  }
  const cause = error === null ? '' : `; last error: ${error}`;
  if (age !== 'in the future' && age > OLD_EVENT_SECONDS * 1_000) {
    return [
      broken(
        check,
        `${pending} event(s) wait for the portal, the oldest for ${Math.round(age / 60_000)} minutes${cause}`,
        'the portal does not know of these sessions and their traffic',
        'mend what the error names, then run ocagent-hook events flush',
      ),
    ];
  }
  if (away !== null) {
    return [
      warning(
        check,
        `the last drain found the portal away: ${away} (${pending} event(s) wait)`,
        'events are kept, and delivered later',
        'see the findings about the portal; ocagent-hook events flush tries at once',
      ),
    ];
  }
  return [ok(check, `${pending} event(s) wait for the portal${cause}`)];
}

function fromTheFuture(): Finding {
  return note(
    'events.clock',
    'the time of the oldest event that waits is in the future: the clock was set back',
    'how long it has waited cannot be told, and the portal may refuse what seems too new',
    "see this machine's clock: timedatectl",
  );
}

function nearlyFull(pending: number, most: number): Finding {
  return warning(
    'events.bound',
    `${pending} of at most ${most} events wait`,
    'past that the oldest connects and updates are dropped',
    'see why they are not delivered, or raise events.max_pending',
  );
}

function setAside(failed: number): Finding {
  return warning(
    'events.failed',
    `${failed} event(s) were set aside: the portal will never take them as they are`,
    'they are missing in its accounting, and go for ever after sessions.keep',
    'see ocagent-hook events list --failed; then ocagent-hook events retry --failed, or ocagent-hook events drop --failed',
  );
}

function lastErrorOfEvents(tx: Transaction): string | null {
  const row = tx.row<{ last_error: string }>(
    'SELECT last_error FROM event WHERE failed_wall IS NULL AND last_error IS NOT NULL ORDER BY seq LIMIT 1',
  );
  return row?.last_error ?? null;
}
