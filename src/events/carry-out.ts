import type { Log } from '../log/log.ts';
import { isExact, isName, type Listed, type Occtl } from '../ocserv/occtl.ts';
import { type DisconnectOrder, markForced } from '../state/orders.ts';
import { connectedAtOf } from '../state/session-records.ts';
import type { State } from '../state/state.ts';

interface CarryOutMeans {
  readonly occtl: Occtl;
  readonly state: State;
  readonly log: Log;
}

/**
 * Ends the sessions that an order of the portal's speaks of, as far as ocserv has them still. Never throws.
 * @returns false when it must be tried again.
 */
export async function carryOut(order: DisconnectOrder, means: CarryOutMeans): Promise<boolean> {
  const { occtl, log } = means;
  const fields = { username: order.username, reason: order.reason, detail: order.detail };
  try {
    const listing = await occtl.users();
    if (listing.kind !== 'listed') {
      log.error('the portal ends sessions, and ocserv cannot be told', {
        ...fields,
        error: listing.why,
        cure: 'see ocserv.occtl and ocserv.occtl_socket; tried again later',
      });
      return false;
    }
    const targets = await targetsOf(order, listing.users, means);
    const results = await Promise.all(targets.map(({ id }) => endOne(id, order, means)));
    return results.every(Boolean);
  } catch (error) {
    log.error('the portal ends sessions, and that failed', { ...fields, error: (error as Error).message });
    return false;
  }
}

/**
 * Who of those that ocserv has is meant. Where occtl's form of the name could be somebody else's too, our record of the
 * session must say that it is this user's.
 */
async function targetsOf(
  order: DisconnectOrder,
  users: readonly Listed[],
  { state }: CarryOutMeans,
): Promise<Listed[]> {
  const his = users.filter(({ username }) => isName(username, order.username));
  if (order.sessionId !== null) return his.filter(({ id }) => id === order.ocservId);
  return state.read((tx) =>
    his.filter(({ id, username }) => {
      if (id === order.exceptOcservId) return false;
      const began = connectedAtOf(tx, id, order.username);
      if (began === undefined) return isExact(username);
      // One that began after the order was let in by a newer answer of the portal's.
      return began <= order.at;
    }),
  );
}

async function endOne(
  id: string,
  order: DisconnectOrder,
  { occtl, state, log }: CarryOutMeans,
): Promise<boolean> {
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
