import { LATE_MAINTAIN_SECONDS, OLD_EVENT_SECONDS } from '../metrics/limits.ts';
import { roughly } from './output.ts';
import type { Figures } from './status-figures.ts';

/** Something that somebody should look at. `broken`: users or the accounting suffer; `warning`: they may soon. */
export interface Problem {
  readonly level: 'broken' | 'warning';
  readonly what: string;
  readonly cure: string;
}

/** Seconds that clocks and roundings may differ by; what is further in the future was noted by a clock that was set back. */
const FUTURE_SECONDS = 60;

/** What is wrong, the worst first. */
export function problemsOf(seen: Figures): Problem[] {
  const { mode, fail_mode, breaker, events, drain, portal, maintain, telemetry } = seen;
  const now = Date.parse(seen.time ?? '');
  const since = (at: string | null): number =>
    at === null ? Number.POSITIVE_INFINITY : (now - Date.parse(at)) / 1_000;
  const isNewer = (error: string | null, success: string | null): boolean =>
    error !== null && since(error) < since(success);
  const problems: Problem[] = [];
  const broken = (what: string, cure: string): void => void problems.push({ level: 'broken', what, cure });
  const warning = (what: string, cure: string): void => void problems.push({ level: 'warning', what, cure });

  if (mode === 'observe') {
    broken(
      'OBSERVE: everybody is let in, whatever is decided',
      'when the roll-out is over: hook.mode = "enforce"',
    );
  }
  if (breaker['state'] === 'open') {
    const until = roughly(Math.max(0, -since(String(breaker['retry_at']))));
    broken(
      `the circuit breaker is open, for ${until} more: the portal is not asked, and fail mode ${fail_mode} decides`,
      'ocagent-hook doctor finds the cause; ocagent-hook breaker reset asks the portal again at once',
    );
  } else if (breaker['state'] === 'half-open') {
    warning(
      `the circuit breaker is half-open: ${breaker['max_requests']} connects at a time try the portal, fail mode ${fail_mode} decides the others`,
      'it closes when as many have succeeded; ocagent-hook breaker reset closes it at once',
    );
  }
  if (isNewer(portal.last_error_at, portal.last_success_at)) {
    warning(
      `the portal failed ${roughly(Math.max(0, since(portal.last_error_at)))} ago, and has not answered since: ${portal.last_error}`,
      'ocagent-hook doctor finds the cause',
    );
  }
  if (events.failed > 0) {
    broken(
      `${events.failed} session event(s) are set aside: the portal cannot accept them`,
      'see ocagent-hook events list --failed; then events retry, or events drop',
    );
  }
  if ((events.oldest_pending_seconds ?? 0) > OLD_EVENT_SECONDS) {
    broken(
      `${events.pending} session event(s) wait for the portal, the oldest for ${roughly(events.oldest_pending_seconds ?? 0)}${drain.last_error === null ? '' : `: ${drain.last_error}`}`,
      'see ocagent-hook events status; ocagent-hook events flush tries all of them now',
    );
  }
  const sinceMaintain = since(maintain.last_run_at);
  if (sinceMaintain > LATE_MAINTAIN_SECONDS || sinceMaintain < -FUTURE_SECONDS) {
    warning(
      maintain.last_run_at === null
        ? 'maintain has never run: no traffic is reported, and nothing is cleaned up'
        : sinceMaintain < 0
          ? `maintain last ran in the future (${maintain.last_run_at}): this machine's clock was set back`
          : `maintain last ran ${roughly(sinceMaintain)} ago`,
      'let cron or a timer run ocagent-hook maintain --quiet every minute',
    );
  }
  // One that has never succeeded most likely has no collector to go to.
  if (
    telemetry.enabled &&
    telemetry.last_success_at !== null &&
    isNewer(telemetry.last_error_at, telemetry.last_success_at)
  ) {
    warning(
      `the metrics have not been exported for ${roughly(Math.max(0, since(telemetry.last_success_at)))}: ${telemetry.last_error}`,
      'see telemetry.endpoint and the collector',
    );
  }
  return [...problems].sort((a, b) => Number(a.level === 'warning') - Number(b.level === 'warning'));
}
