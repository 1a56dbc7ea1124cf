import type { BreakerRules, Outcome } from '../../src/resilience/circuit-breaker.ts';
import type { Instant } from '../../src/resilience/instant.ts';

/**
 * The breaker as its documentation tells it, for comparison: periods are objects, and a call belongs to the very
 * period that let it through. No generations, no ids: what the real one numbers is here a matter of identity.
 */
type Period =
  | { readonly is: 'closed'; row: Instant[] }
  | { readonly is: 'open'; readonly since: Instant }
  | { readonly is: 'half-open'; readonly live: Set<Ticket>; successes: number };

/** What a call got when it was let through. */
export interface Ticket {
  readonly period: Period;
  readonly since: Instant;
}

export class BreakerModel {
  period: Period = { is: 'closed', row: [] };

  pass(rules: BreakerRules, now: Instant): void {
    const { period } = this;
    if (period.is === 'closed' && period.row[0] && over(rules.interval, period.row[0], now)) period.row = [];
    if (period.is === 'open' && over(rules.timeout, period.since, now)) {
      this.period = { is: 'half-open', live: new Set(), successes: 0 };
    }
    if (period.is === 'half-open') {
      if (period.successes >= rules.maxRequests) this.period = { is: 'closed', row: [] };
      for (const trial of period.live)
        if (isDead(rules.trialLease, trial.since, now)) period.live.delete(trial);
    }
  }

  admit(rules: BreakerRules, now: Instant): Ticket | null {
    this.pass(rules, now);
    const { period } = this;
    if (period.is === 'open') return null;
    const ticket = { period, since: now };
    if (period.is === 'closed') return ticket;
    if (period.live.size + period.successes >= rules.maxRequests) return null;
    period.live.add(ticket);
    return ticket;
  }

  settle(ticket: Ticket, outcome: Outcome, rules: BreakerRules, now: Instant): void {
    this.pass(rules, now);
    const { period } = this;
    if (ticket.period !== period) return;
    if (period.is === 'closed') {
      if (outcome === 'success') period.row = [];
      if (outcome === 'failure') period.row.push(now);
      if (period.row.length >= rules.failureThreshold) this.trip(now);
    }
    if (period.is === 'half-open' && period.live.delete(ticket)) {
      if (outcome === 'failure') this.trip(now);
      if (outcome === 'success') period.successes++;
      if (period.successes >= rules.maxRequests) this.reset();
    }
  }

  /** What somebody who only looks would see; looking changes nothing. */
  seen(rules: BreakerRules, now: Instant): Period {
    const copy = new BreakerModel();
    const { period } = this;
    copy.period = period.is === 'half-open' ? { ...period, live: new Set(period.live) } : { ...period };
    copy.pass(rules, now);
    return copy.period;
  }

  trip(now: Instant): void {
    this.period = { is: 'open', since: now };
  }

  reset(): void {
    this.period = { is: 'closed', row: [] };
  }
}

/**
 * By whichever clock says so first; the future counts as past. Of an earlier boot only the wall clock can be asked, and how
 * long this boot has lasted.
 */
function over(span: number, then: Instant, now: Instant): boolean {
  const byWall = now.wall - then.wall;
  if (then.boot !== now.boot) return byWall < 0 || byWall >= span || now.mono >= span;
  const byKernel = now.mono - then.mono;
  return byWall >= span || byKernel >= span || (byWall < 0 && byKernel < 0);
}

/** A process lives by the kernel's clock, which nobody sets, and no longer than its boot. */
function isDead(lease: number, since: Instant, now: Instant): boolean {
  return since.boot !== now.boot || now.mono - since.mono >= lease;
}
