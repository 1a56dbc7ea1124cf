import type { Log } from '../log/log.ts';
import { isExact, isName, type Listed, type Occtl } from '../ocserv/occtl.ts';
import { type DisconnectOrder, markForced } from '../state/orders.ts';
import { connectedAtOf, ocservIdOf } from '../state/session-records.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';

export interface CarryOutMeans {
  readonly occtl: Occtl;
  readonly state: State;
  readonly log: Log;
}

/** A session to be ended, and for what. */
interface Target {
  readonly id: string;
  readonly order: DisconnectOrder;
}

/** Sessions ended at once: ocserv's main process, which starts the hooks, answers occtl as well. */
const AT_ONCE = 4;

/**
 * Ends the sessions that orders of the portal's speak of, as far as ocserv has them still. Never throws.
 * @returns the orders that are done; the others must be tried again.
 */
export async function carryOut(
  orders: readonly DisconnectOrder[],
  means: CarryOutMeans,
): Promise<ReadonlySet<number>> {
  const { occtl, state, log } = means;
  const undone = new Set<number>();
  try {
    const listing = await occtl.users();
    if (listing.kind !== 'listed') {
      log.error('the portal ends sessions, and ocserv cannot be told', {
        orders: orders.length,
        username: orders[0]?.username,
        error: listing.why,
        cure: 'see ocserv.occtl and ocserv.occtl_socket; tried again later',
      });
      return new Set();
    }
    const targets = await state.read((tx) => orders.flatMap((order) => targetsOf(tx, order, listing.users)));
    const queue = [...targets];
    const worker = async (): Promise<void> => {
      for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
        if (!(await endOne(target, means))) undone.add(target.order.id);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } catch (error) {
    log.error('the portal ends sessions, and that failed', { error: (error as Error).message });
    return new Set();
  }
  return new Set(orders.map(({ id }) => id).filter((id) => !undone.has(id)));
}

/**
 * Who of those that ocserv has is meant. Where occtl's form of the name could be somebody else's too, our record of the
 * session must say that it is this user's.
 */
function targetsOf(tx: Transaction, order: DisconnectOrder, users: readonly Listed[]): Target[] {
  const his = users.filter(({ username }) => isName(username, order.username));
  const meant =
    order.sessionId === null
      ? his.filter((listed) => listed.id !== order.exceptOcservId && wasLive(tx, order, listed))
      : // IDs recur: only while the session is live by our record is its ID its own.
        his.filter(({ id }) => id === ocservIdOf(tx, order.sessionId ?? ''));
  return meant.map(({ id }) => ({ id, order }));
}

/** Whether the session was live when all of the user's were ordered to end. A later one was let in by a newer answer. */
function wasLive(tx: Transaction, order: DisconnectOrder, { id, username, connectedAt }: Listed): boolean {
  const began = connectedAtOf(tx, id, order.username);
  if (began !== undefined) return began <= order.at;
  // Not on record: by occtl's minute, and only where its form of the name is nobody else's.
  return isExact(username) && (connectedAt === null || connectedAt <= order.at);
}

async function endOne({ id, order }: Target, { occtl, state, log }: CarryOutMeans): Promise<boolean> {
  const fields = { username: order.username, ocserv_id: id, reason: order.reason, detail: order.detail };
  const isThere = async (): Promise<boolean> => {
    const user = await occtl.user(id);
    return user === 'unknown' || (user !== null && isName(user.username, order.username));
  };
  if (!(await isThere())) return true;
  // Before ocserv is told: the disconnect-script may run before occtl has returned.
  const session = { ocservId: id, username: order.username };
  await state.step((tx) => markForced(tx, session, order.reason));
  const error = await occtl.disconnect(id);
  if (error === null) {
    log.warn("session ended by the portal's order", fields);
    return true;
  }
  // It may have left by itself just before.
  if (!(await isThere())) return true;
  await state.step((tx) => markForced(tx, session, null));
  log.error('the portal ends a session, and ocserv did not', {
    ...fields,
    error,
    cure: `tried again later; by hand: occtl disconnect id ${id}`,
  });
  return false;
}
