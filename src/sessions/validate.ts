import { forcedReason } from '../accounting/event.ts';
import type { Config } from '../config/schema.ts';
import { noteCertificate } from '../events/note-certificate.ts';
import { isBreakerOpen } from '../events/send-for-drain.ts';
import { describe } from '../events/settle.ts';
import type { Log } from '../log/log.ts';
import { countCall } from '../policy/settle.ts';
import type { Failure } from '../policy/types.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { loadPortal } from '../portal/load.ts';
import type { Validated } from '../portal/session-calls.ts';
import { isPortalAway, noteContact } from '../state/contact.ts';
import type { LiveSession } from '../state/live-sessions.ts';
import { orderSessionOut } from '../state/orders.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';

export interface ValidationReport {
  /** Not valid any more, by the portal's word. */
  readonly invalid: number;
  readonly problems: readonly string[];
}

/** Sessions that the portal is asked about at once. */
const ASKED_AT_ONCE = 16;
/** Calls in a row that failed, after which the rest is left for the next time. */
const STRIKES = 3;

/** May they stay? Which must go is put down as an order; one that is merely not valid goes on, and the log says so. */
export async function validateSessions(
  sessions: readonly LiveSession[],
  { config, state, log }: { config: Config; state: State; log: Log },
): Promise<ValidationReport> {
  const failures: Failure[] = [];
  let invalid = 0;
  let asked = 0;
  if (sessions.length === 0 && !(await state.read(isPortalAway))) return { invalid, problems: [] };
  if (await state.read((tx) => isBreakerOpen(tx, config))) {
    const unasked = sessions.length === 0 ? [] : ['the portal was not asked: the circuit breaker is open'];
    return { invalid, problems: unasked };
  }
  const { portalCalls } = await loadPortal(config);
  const calls = portalCalls(config, noteCertificate(state));
  try {
    if (sessions.length === 0) await askNobody(calls, state);
    // One at a time until the portal has answered, and again after it has failed to.
    for (let strikes = 0, width = 1; asked < sessions.length && strikes < STRIKES; ) {
      const part = sessions.slice(asked, asked + width);
      asked += part.length;
      const answers = await Promise.all(part.map((session) => askAbout(session, calls)));
      await state.step((tx) => {
        for (const { session, answer } of answers) settleAnswer(tx, session, answer);
      });
      for (const { session, answer } of answers) tell(session, answer, log);
      invalid += answers.filter(({ answer }) => isInvalid(answer)).length;
      const failed = answers.map(({ answer }) => answer).filter((answer) => 'failure' in answer);
      failures.push(...failed.map(({ failure }) => failure));
      strikes = failed.length < part.length ? 0 : strikes + 1;
      width = failed.length === 0 ? ASKED_AT_ONCE : 1;
      // What no further call can change.
      if (failed.some(({ failure, reached }) => failure.misconfigured || !reached)) break;
    }
  } finally {
    calls.close();
  }
  return { invalid, problems: summary(failures, sessions.length - asked) };
}

/** One line, whether it is one session or a thousand. */
function summary(failures: readonly Failure[], unasked: number): string[] {
  const [first] = failures;
  if (first === undefined) return [];
  const { cure } = first;
  const left = failures.length + unasked;
  return [`${left} session(s) could not be validated: ${describe(first)}${cure === '' ? '' : `; ${cure}`}`];
}

/**
 * While nobody is connected nobody asks the portal, and its last error would stand, and alarm people, for as long as that. So it
 * is asked about a session that no portal can have: any answer will do.
 */
async function askNobody(calls: PortalCalls, state: State): Promise<void> {
  const answer = await calls.validate({ username: '', sessionId: '0-0', clientIp: '', vhost: null });
  await state.step((tx) => noteAnswer(tx, answer));
}

interface Asked {
  readonly session: LiveSession;
  readonly answer: Validated;
}

async function askAbout(session: LiveSession, calls: PortalCalls): Promise<Asked> {
  const { sessionId, username, clientIp, vhostForPortal: vhost } = session;
  return { session, answer: await calls.validate({ username, sessionId, clientIp, vhost }) };
}

function settleAnswer(tx: Transaction, { sessionId, username }: LiveSession, answer: Validated): void {
  noteAnswer(tx, answer);
  if ('failure' in answer || !answer.mustEnd) return;
  const reason = forcedReason(answer.reason);
  orderSessionOut(tx, { username, sessionId, reason, detail: answer.reason });
}

function noteAnswer(tx: Transaction, answer: Validated): void {
  countCall(tx, answer.call);
  // That a request is not acceptable is an answer; what is wrong on this machine says nothing of the portal.
  if (!('failure' in answer) || answer.failure.code === 'INVALID_ARGUMENT') noteContact(tx, null);
  else if (answer.failure.code !== 'LOCAL') noteContact(tx, describe(answer.failure));
}

function isInvalid(answer: Validated): boolean {
  return 'valid' in answer && (!answer.valid || answer.mustEnd);
}

function tell({ sessionId, username }: LiveSession, answer: Validated, log: Log): void {
  if (!isInvalid(answer) || 'failure' in answer) return;
  const fields = { session_id: sessionId, username, reason: answer.reason };
  if (answer.mustEnd) log.warn('the portal wants this session ended', fields);
  else log.warn('the portal no longer holds this session valid; it goes on', fields);
}
