import type { Config } from '../config/schema.ts';
import { type Aftermath, NOTHING_LEFT, recordConnect } from '../events/record.ts';
import type { Level } from '../log/line.ts';
import type { Log } from '../log/log.ts';
import { byDeadline, statePatience } from '../policy/deadline.ts';
import { decide, decideInvalid } from '../policy/decide.ts';
import { decisionJson } from '../policy/decision-json.ts';
import type { Decision, Failure, Request, Source } from '../policy/types.ts';
import { waitLimits } from '../portal/ask.ts';
import { portalIdentity } from '../portal/identity.ts';
import { milliseconds } from '../state/clock.ts';
import { sessionIdOf } from '../state/sessions.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import type { Caller } from './caller.ts';
import { countConnect } from './count.ts';
import type { HookSession } from './environment.ts';
import { figures } from './figures.ts';
import { openState, reportStateLost } from './open-state.ts';
import { type Outcome, reportDropped } from './outcome.ts';

/**
 * ocserv asks whether this user may connect. Answered by `hook.deadline` at the latest, counted from the caller's turn on a busy
 * machine and else from its start (elapsed.ts), whatever the state, the portal or the network do.
 * @returns with the exit status: 0 lets the user in, 1 does not.
 */
export async function connect(
  session: HookSession,
  invalid: string | null,
  caller: Caller,
  config: Config,
  log: Log,
): Promise<Outcome> {
  const request: Request = { ...session, sessionId: sessionIdOf(session.ocservId, Date.now()) };
  const answered = { tooLate: false };
  const left: Left = { aftermath: NOTHING_LEFT };
  let inTime: Decision | null = null;
  const decision = await byDeadline(request, invalid, config, caller.spent(), async (know) => {
    inTime = await decideInTime(request, session, invalid, caller, config, log, answered, left, know);
    return inTime;
  });
  answered.tooLate = true;
  caller.commit();
  if (decision !== inTime) {
    if (decision.shouldDisconnect) reportNoOrder(log, request);
    log.error('hook.deadline answered: this decision and its session are not recorded', {
      cure: 'this machine is too busy for hook.deadline, or the disk of state.path is too slow',
      ...figures(session, null),
      session_id: request.sessionId,
    });
  }
  reportDropped(log, left.aftermath.dropped);
  const status = conclude(decision, request, caller.elapsed(), config, log);
  const { aftermath, stay } = left;
  const stays = decision === inTime && stay !== undefined;
  return { status, drain: aftermath.drain, ...(stays ? { stay } : {}) };
}

/** What a decision leaves behind, besides the answer. */
interface Left {
  aftermath: Aftermath;
  stay?: () => Promise<void>;
}

async function decideInTime(
  request: Request,
  session: HookSession,
  invalid: string | null,
  caller: Caller,
  config: Config,
  log: Log,
  answered: { readonly tooLate: boolean },
  left: Left,
  know: (decision: Decision) => void,
): Promise<Decision> {
  const expectsSiblings = caller.isLate();
  const state = await openState(caller, config, log, { patience: statePatience(config), durable: false });
  const access = caller.portal(config, log);
  const means = {
    config,
    state,
    bypassCache: false,
    onStateLost: reportStateLost(log, config),
    onProvisional: know,
    onWaiting: () => caller.leaveSlot(),
    record: (tx: Transaction, decision: Decision) => {
      // The deadline has answered for us: nothing may be recorded any more, least of all a connected session.
      if (answered.tooLate) throw new Error('answered by the deadline');
      caller.commit();
      const letIn = isLetIn(decision, config);
      left.aftermath = recordConnect(tx, decision, letIn, request, session, config, caller.canStartDrain);
      countConnect(tx, decision, caller.elapsed());
    },
    waitLimits: waitLimits(config, caller.spent(), milliseconds()),
    mayLead: access.mayLead,
    isConnected: access.isConnected,
    expectsSiblings,
    portal: () => portalIdentity(config),
    askPortal: (atMost: number, term: number | null) => access.ask(request, atMost, term),
  };
  if (invalid !== null) return decideInvalid(invalid, means);
  const { decision, failure, leads } = await decide(request, means);
  if (leads !== null) left.stay = () => access.stay(leads);
  if (failure !== null) reportFailure(log, failure, request);
  if (state !== null) reportUnrecorded(log, state, request);
  if (decision.shouldDisconnect && (state === null || state.unrecorded !== null)) {
    reportNoOrder(log, request);
  }
  return decision;
}

/** In observe mode the decision is made, logged and recorded, and everybody gets in. */
function isLetIn(decision: Decision, { hook }: Config): boolean {
  return decision.allowed || hook.mode === 'observe';
}

function conclude(decision: Decision, request: Request, elapsed: number, config: Config, log: Log): number {
  const letIn = isLetIn(decision, config);
  log.line(levelOf(decision, letIn), decision.allowed ? 'connect allowed' : 'connect denied', {
    ...decisionJson(decision, request, config, elapsed),
    session_id: request.sessionId,
    vhost: request.vhost,
    vpn_ip: request.vpnIp,
    device: request.device,
    ...(config.hook.mode === 'observe' ? { mode: 'observe', let_in: letIn } : {}),
  });
  return letIn ? 0 : 1;
}

const LEVEL: Readonly<Record<Source, Level>> = {
  portal: 'info',
  cache: 'info',
  stale: 'warn',
  'fail-open': 'warn',
  'fail-close': 'warn',
  invalid: 'warn',
  'rate-limit': 'warn',
  emergency: 'error',
};

function levelOf(decision: Decision, letIn: boolean): Level {
  return letIn && !decision.allowed ? 'warn' : LEVEL[decision.source];
}

function reportFailure(log: Log, failure: Failure, request: Request): void {
  log.line(failure.misconfigured ? 'error' : 'warn', 'the portal could not be asked', {
    code: failure.code,
    error: failure.detail,
    ...(failure.cure === '' ? {} : { cure: failure.cure }),
    username: request.username,
    session_id: request.sessionId,
  });
}

function reportNoOrder(log: Log, { username }: Request): void {
  log.error('the portal ends all sessions of this user, and that cannot be recorded', {
    username,
    cure: 'end them by hand: occtl show users, then occtl disconnect id',
  });
}

function reportUnrecorded(log: Log, state: State, request: Request): void {
  if (state.unrecorded === null) return;
  log.error('the state could not be written: this decision and its session are not recorded', {
    reason: state.unrecorded,
    cure: 'see the free space, the mount and the processes that hold it',
    username: request.username,
    session_id: request.sessionId,
  });
}
