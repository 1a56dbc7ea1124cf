import { forcedReason } from '../accounting/event.ts';
import type { Config } from '../config/schema.ts';
import { isBreakerOpen } from '../events/send-for-drain.ts';
import type { Log } from '../log/log.ts';
import type { SessionCalls } from '../portal/session-calls.ts';
import type { LiveSession } from '../state/live-sessions.ts';
import { orderSessionOut } from '../state/orders.ts';
import type { State } from '../state/state.ts';

export interface ValidationReport {
  /** Not valid any more, by the portal's word. */
  readonly invalid: number;
  readonly problems: readonly string[];
}

/** Sessions that the portal is asked about at once. */
const ASKED_AT_ONCE = 16;

/** May they stay? Which must go is put down as an order; one that is merely not valid goes on, and the log says so. */
export async function validateSessions(
  sessions: readonly LiveSession[],
  { config, state, log }: { config: Config; state: State; log: Log },
): Promise<ValidationReport> {
  const problems: string[] = [];
  let invalid = 0;
  if (sessions.length === 0) return { invalid, problems };
  if (await state.read((tx) => isBreakerOpen(tx, config))) {
    return { invalid, problems: ['the portal was not asked: the circuit breaker is open'] };
  }
  const { sessionCalls } = await import('../portal/session-calls.ts');
  const calls = sessionCalls(config);
  try {
    for (let from = 0; from < sessions.length; ) {
      // The first one alone: if the portal is away, one call tells.
      const part = sessions.slice(from, from === 0 ? 1 : from + ASKED_AT_ONCE);
      from += part.length;
      const verdicts = await Promise.all(part.map((session) => validateOne(session, calls, state, log)));
      invalid += verdicts.filter(({ verdict }) => verdict === 'invalid').length;
      problems.push(...verdicts.flatMap(({ problem }) => problem ?? []));
      if (verdicts.some(({ verdict }) => verdict === 'portal away')) break;
    }
  } finally {
    calls.close();
  }
  return { invalid, problems };
}

interface Verdict {
  readonly verdict: 'valid' | 'invalid' | 'unknown' | 'portal away';
  readonly problem?: string;
}

async function validateOne(
  session: LiveSession,
  calls: SessionCalls,
  state: State,
  log: Log,
): Promise<Verdict> {
  const { sessionId, username, clientIp, ocservId, vhostForPortal: vhost } = session;
  const answer = await calls.validate({ username, sessionId, clientIp, vhost });
  if ('failure' in answer) {
    const { code, detail } = answer.failure;
    return {
      verdict: answer.reached ? 'unknown' : 'portal away',
      problem: `${sessionId} could not be validated: ${code}: ${detail}`,
    };
  }
  if (answer.valid && !answer.mustEnd) return { verdict: 'valid' };
  const fields = { session_id: sessionId, username, reason: answer.reason };
  if (answer.mustEnd) {
    const reason = forcedReason(answer.reason);
    await state.step((tx) =>
      orderSessionOut(tx, { username, sessionId, ocservId, reason, detail: answer.reason }),
    );
    log.warn('the portal wants this session ended', fields);
  } else {
    log.warn('the portal no longer holds this session valid; it goes on', fields);
  }
  return { verdict: 'invalid' };
}
