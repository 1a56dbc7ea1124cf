import type { Config } from '../config/schema.ts';
import { flush } from '../events/flush.ts';
import { describe } from '../events/settle.ts';
import { eventFields } from '../events/tell.ts';
import { untilDone } from '../state/batches.ts';
import { timestamp } from '../state/contact.ts';
import { total } from '../state/counters.ts';
import { drainStatus } from '../state/drain.ts';
import { orderCount } from '../state/orders.ts';
import type { Queued } from '../state/outbox.ts';
import {
  dropQueued,
  findEvent,
  listEvents,
  listFailed,
  type OutboxTally,
  retryEvent,
  tallyOutbox,
} from '../state/outbox-list.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import {
  CommandFailed,
  configOf,
  type GlobalOptions,
  LONG_PATIENCE_MS,
  logFor,
  mustBeRecorded,
  stateOf,
} from './context.ts';
import { paint, print, printJson, roughly, sheet, table, visible } from './output.ts';

/** The fields of `status --json` under `events`. */
export function eventsAtAGlance(
  tx: Transaction,
  { pending, failed, oldestAt }: OutboxTally = tallyOutbox(tx),
): {
  pending: number;
  failed: number;
  oldest_pending_seconds: number | null;
} {
  return {
    pending,
    failed,
    oldest_pending_seconds: oldestAt === null ? null : Math.max(0, tx.now.wall - oldestAt) / 1_000,
  };
}

function outboxStatus(tx: Transaction, { events }: Config) {
  const tally = tallyOutbox(tx);
  return {
    enabled: events.enabled,
    ...eventsAtAGlance(tx, tally),
    pending_by_type: tally.pendingByType,
    max_pending: events.max_pending,
    delivered_total: total(tx, 'ocserv.events.delivered_total'),
    dropped_total: total(tx, 'ocserv.events.dropped_total'),
    disconnect_orders: orderCount(tx),
    drain: drainFigures(tx),
  };
}

/** The fields of `events status --json` and of `status --json` under `drain`. */
export function drainFigures(tx: Transaction) {
  const { running, pid, failures, retryAt, lastError } = drainStatus(tx);
  return {
    running,
    pid,
    failures,
    retry_at: retryAt > tx.now.wall ? timestamp(retryAt) : null,
    last_error: lastError,
  };
}

/** What the portal has not taken yet, and how the delivery goes. */
export async function status(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config);
  const seen = await state.read((tx) => outboxStatus(tx, config));
  if (options.json) await printJson(seen);
  else await print(forPeople(seen));
  return 0;
}

function forPeople(seen: ReturnType<typeof outboxStatus>): string {
  const { pending_by_type: types, drain } = seen;
  const age =
    seen.oldest_pending_seconds === null ? '' : `, the oldest ${roughly(seen.oldest_pending_seconds)} old`;
  const rows: [string, string][] = [
    ...(seen.enabled
      ? []
      : [['reporting', paint('yellow', 'off: events.enabled = false')] as [string, string]]),
    [
      'pending',
      `${paint(seen.pending === 0 ? 'green' : 'yellow', String(seen.pending))} of at most ${seen.max_pending}${age}`,
    ],
    ['', `${types.connect} connects, ${types.update} updates, ${types.disconnect} disconnects`],
    ['failed', seen.failed === 0 ? '0' : `${paint('red', String(seen.failed))}: see events list --failed`],
    ['delivered', `${seen.delivered_total}, and ${seen.dropped_total} dropped`],
    [
      'drain',
      drain.running
        ? `running (pid ${drain.pid})`
        : drain.retry_at === null
          ? 'not running'
          : `not before ${drain.retry_at}`,
    ],
  ];
  if (drain.last_error !== null) {
    rows.push([
      '',
      `${paint('red', `the portal was away ${drain.failures} time(s) in a row`)}: ${visible(drain.last_error)}`,
    ]);
  }
  if (seen.disconnect_orders > 0)
    rows.push(['orders', `${seen.disconnect_orders} session end(s) ordered by the portal`]);
  return sheet(rows);
}

export interface ListOptions extends GlobalOptions {
  readonly failed?: boolean;
  readonly user?: string;
  readonly limit: number;
}

/** In the order in which they happened. */
export async function list(options: ListOptions): Promise<number> {
  const state = await stateOf(await configOf(options));
  const { failed = false, user, limit } = options;
  const { events, now } = await state.read((tx) => ({
    events: listEvents(tx, { failedOnly: failed, limit, username: user }),
    now: tx.now.wall,
  }));
  if (options.json) await printJson(events.map((queued) => eventJson(queued, now)));
  else if (events.length === 0) await print(failed ? 'no failed events' : 'no undelivered events');
  else {
    const rows = events.map((queued) => [
      queued.id,
      queued.event.type,
      visible(queued.event.sessionId),
      visible(queued.event.username),
      roughly((now - queued.event.at) / 1_000),
      stateOfEvent(queued, now),
      String(queued.attempts),
      visible(queued.lastError ?? ''),
    ]);
    await print(table(['ID', 'EVENT', 'SESSION', 'USER', 'AGE', 'STATE', 'TRIES', 'LAST ERROR'], rows));
  }
  return 0;
}

function stateOfEvent({ failedAt, retryAt }: Queued, now: number): 'failed' | 'waiting' | 'due' {
  return failedAt !== null ? 'failed' : retryAt > now ? 'waiting' : 'due';
}

function eventJson(queued: Queued, now: number): Record<string, unknown> {
  const { event, event_id, ...fields } = eventFields(queued.id, queued.event);
  return {
    id: event_id,
    event,
    ...fields,
    state: stateOfEvent(queued, now),
    attempts: queued.attempts,
    retry_at: queued.retryAt > now ? timestamp(queued.retryAt) : null,
    failed_at: timestamp(queued.failedAt),
    last_error: queued.lastError,
  };
}

/** Sends all that is pending now, whatever back-off and breaker say. Exit 1 when something is left. */
export async function flushEvents(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config, { patience: LONG_PATIENCE_MS });
  const before = await state.read((tx) => total(tx, 'ocserv.events.delivered_total'));
  const report = await flush(config, state, logFor(config));
  mustBeRecorded(state);
  const seen = await state.read((tx) => ({
    delivered: total(tx, 'ocserv.events.delivered_total') - before,
    ...eventsAtAGlance(tx),
  }));
  const away = report?.away ?? null;
  const error = away === null ? null : describe(away);
  if (options.json) await printJson({ ...seen, portal_error: error });
  else {
    const left = seen.pending === 0 ? 'none left' : paint('red', `${seen.pending} left`);
    await print(
      `${seen.delivered} delivered, ${left}${seen.failed === 0 ? '' : `; ${seen.failed} failed (events list --failed)`}`,
    );
    if (!config.events.enabled) await print('events.enabled = false: nothing is sent');
    if (away !== null)
      await print(`the portal could not be told: ${visible(`${error}${away.cure && `; ${away.cure}`}`)}`);
  }
  return seen.pending === 0 ? 0 : 1;
}

export interface ChoiceOptions extends GlobalOptions {
  readonly failed?: boolean;
}

/** Set-aside events are pending again: those that are named, or all. */
export async function retry(ids: readonly string[], options: ChoiceOptions): Promise<number> {
  return treat(ids, options, 'pending again', (tx, events) => {
    for (const queued of events) retryEvent(tx, queued);
  });
}

/** Gives events up: those that are named, or all that have failed. They are counted as dropped. */
export async function dropEvents(ids: readonly string[], options: ChoiceOptions): Promise<number> {
  return treat(ids, options, 'dropped', dropQueued);
}

async function treat(
  ids: readonly string[],
  options: ChoiceOptions,
  done: string,
  work: (tx: Transaction, events: readonly Queued[]) => void,
): Promise<number> {
  if ((ids.length === 0) === (options.failed !== true)) {
    throw new CommandFailed(
      'name the events by their ids (events list shows them), or give --failed for all that have failed',
      2,
    );
  }
  const state = await stateOf(await configOf(options));
  const treated = ids.length > 0 ? await treatNamed(state, ids, work) : await treatFailed(state, work);
  if (options.json) await printJson({ events: treated });
  else await print(`${treated} event(s) ${done}`);
  return 0;
}

async function treatNamed(
  state: State,
  ids: readonly string[],
  work: (tx: Transaction, events: readonly Queued[]) => void,
): Promise<number> {
  await state.step((tx) => {
    const unknown = ids.filter((id) => findEvent(tx, id) === undefined);
    if (unknown.length > 0) {
      throw new CommandFailed(`no such event: ${unknown.map(visible).join(', ')}; nothing was changed`);
    }
    work(
      tx,
      ids.flatMap((id) => findEvent(tx, id) ?? []),
    );
  });
  mustBeRecorded(state);
  return ids.length;
}

async function treatFailed(
  state: State,
  work: (tx: Transaction, events: readonly Queued[]) => void,
): Promise<number> {
  const treated = await untilDone(state, (tx, atMost) => {
    const events = listFailed(tx, atMost);
    work(tx, events);
    return events.length;
  });
  mustBeRecorded(state);
  return treated;
}
