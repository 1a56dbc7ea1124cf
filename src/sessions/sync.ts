import type { Config } from '../config/schema.ts';
import { deliverOrWait } from '../events/flush.ts';
import { describe } from '../events/settle.ts';
import type { Log } from '../log/log.ts';
import { type Listed, type Listing, Occtl } from '../ocserv/occtl.ts';
import { tunnelTraffic } from '../ocserv/tunnel-traffic.ts';
import { inBatches } from '../state/batches.ts';
import { total } from '../state/counters.ts';
import {
  type LiveSession,
  liveSessionOf,
  liveSessions,
  noteListed,
  stillLive,
} from '../state/live-sessions.ts';
import { loadOcctlContact, noteOcctlAnswered, noteOcctlDead } from '../state/occtl-contact.ts';
import { lastSeq } from '../state/outbox.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { unwritable } from '../state/unusable.ts';
import { missing, recordOf, reportLive, serverIsDead, takeUp } from './reconcile.ts';
import { validateSessions } from './validate.ts';

export interface SyncReport {
  /** Sessions that ocserv has and that are on record. */
  readonly live: number;
  /** Of these, whose connect had not been recorded. */
  readonly takenUp: number;
  /** On record, and gone without a word. */
  readonly closed: number;
  /** Orders of the portal's to end sessions, carried out. */
  readonly ordered: number;
  /** Not valid any more by the portal's word. */
  readonly invalid: number;
  /** What could not be done, and why. */
  readonly problems: readonly string[];
}

export interface SyncMeans {
  readonly config: Config;
  readonly state: State;
  readonly log: Log;
}

/** Sessions in one transaction. */
const BATCH = 50;

/** What comparing our records with ocserv's list came to. */
interface Compared {
  readonly live: readonly LiveSession[];
  readonly takenUp: number;
  readonly closed: readonly LiveSession[];
  readonly problems: readonly string[];
}

/**
 * Brings our records and ocserv's sessions together: each live one is reported with its traffic and asked about, those that
 * are gone are closed, and those that the portal wants ended are. A failed occtl closes nothing.
 */
export async function syncSessions(means: SyncMeans): Promise<SyncReport> {
  const { config, state, log } = means;
  // What begins while occtl is asked cannot be missing in its list.
  const before = new Set((await state.read(liveSessions)).map(({ id }) => id));
  const since = Date.now();
  const listing = await new Occtl(config.ocserv).users();
  const droppedBefore = await state.read(droppedTotal);
  const compared = await compare(listing, before, since, means);
  const dropped = (await state.read(droppedTotal)) - droppedBefore;
  if (dropped > 0) {
    log.error('events dropped: the outbox is full', { dropped, cure: 'see ocagent-hook events status' });
  }
  for (const session of compared.closed) {
    log.warn('session closed: ocserv has it no longer, and told nobody', {
      session_id: session.sessionId,
      username: session.username,
      bytes_in: session.traffic.bytesIn?.toString(),
      bytes_out: session.traffic.bytesOut?.toString(),
    });
  }
  const validation = await validateSessions(compared.live, means);
  const upTo = await state.read(lastSeq);
  const delivery = await deliverOrWait(config, state, log, { force: false, upTo });
  const problems = [...compared.problems, ...validation.problems];
  if (delivery !== null && delivery.away !== null) {
    problems.push(`the portal could not be told: ${describe(delivery.away)}`);
  }
  return {
    live: compared.live.length,
    takenUp: compared.takenUp,
    closed: compared.closed.length,
    ordered: delivery?.orders ?? 0,
    invalid: validation.invalid,
    problems,
  };
}

async function compare(
  listing: Listing,
  before: ReadonlySet<number>,
  since: number,
  means: SyncMeans,
): Promise<Compared> {
  switch (listing.kind) {
    case 'failed':
      return { live: [], takenUp: 0, closed: [], problems: [listing.why] };
    case 'dead':
      return withoutServer(listing, before, means);
    case 'listed':
      await means.state.step((tx) => noteOcctlAnswered(tx, listing.socket));
      return withList(listing.users, before, since, means);
  }
}

async function withList(
  users: readonly Listed[],
  before: ReadonlySet<number>,
  since: number,
  { config, state }: SyncMeans,
): Promise<Compared> {
  const takenUp = await inBatches(state, users, BATCH, (tx, part) =>
    part.filter((listed) => takeUp(tx, listed, since, config)),
  );
  const live = await inBatches(state, users, BATCH, (tx, part) =>
    part.flatMap((listed) => {
      const session = recordOf(listed, liveSessionOf(tx, listed.id));
      if (session === undefined) return [];
      // Its connect-script may still be running, or just have let it in.
      if (listed.state === 'connected') reportLive(tx, session, tunnelTraffic(listed), config);
      else noteListed(tx, session);
      return [session];
    }),
  );
  const found = new Set(live.done.map(({ id }) => id));
  const gone = [...before].filter((id) => !found.has(id));
  const closed = await closeThose(state, gone, (tx, session) => missing(tx, session, config));
  return {
    live: live.done,
    takenUp: takenUp.done.length,
    closed: closed.done,
    problems: unwritten(takenUp, live, closed),
  };
}

async function withoutServer(
  { why, socket }: Extract<Listing, { kind: 'dead' }>,
  before: ReadonlySet<number>,
  { config, state }: SyncMeans,
): Promise<Compared> {
  const deadSince = await state.step((tx) => {
    // A socket that has never answered may simply be the wrong one, left over even: that is no sign of anything.
    if (loadOcctlContact(tx).socket !== socket) return null;
    noteOcctlDead(tx);
    const { deadSince } = loadOcctlContact(tx);
    const alive =
      deadSince !== null && liveSessions(tx).some(({ connectedAt }) => connectedAt > deadSince.wall);
    // Somebody was let in since: ocserv lives, and answers elsewhere.
    return alive ? null : deadSince;
  });
  if (before.size === 0) return { live: [], takenUp: 0, closed: [], problems: [] };
  if (deadSince === null) {
    return { live: [], takenUp: 0, closed: [], problems: [`${why}; see ocserv.occtl_socket`] };
  }
  const closed = await closeThose(state, [...before], (tx, session) =>
    serverIsDead(tx, session, deadSince, config),
  );
  const left = before.size - closed.done.length;
  const waiting = `${why}; ${left} session(s) are closed if it stays so for a minute`;
  const problems = [...(left > 0 ? [waiting] : []), ...unwritten(closed)];
  return { live: [], takenUp: 0, closed: closed.done, problems };
}

/** @returns which were closed. One that has ended in good order since it was read is left alone. */
function closeThose(
  state: State,
  ids: readonly number[],
  close: (tx: Transaction, session: LiveSession) => boolean,
): ReturnType<typeof inBatches<number, LiveSession>> {
  return inBatches(state, ids, BATCH, (tx, part) =>
    part.flatMap((id) => {
      const session = stillLive(tx, id);
      return session !== undefined && close(tx, session) ? [session] : [];
    }),
  );
}

function unwritten(...parts: readonly { readonly unrecorded: string | null }[]): string[] {
  const why = parts.find(({ unrecorded }) => unrecorded !== null)?.unrecorded;
  return why == null ? [] : [unwritable(why).message];
}

function droppedTotal(tx: Transaction): number {
  return total(tx, 'ocserv.events.dropped_total');
}
