import { existsSync } from 'node:fs';
import { broken, type Finding, note, ok, warning } from './finding.ts';

const WARNING_MS = 5_000;
const BROKEN_MS = 60_000;
/** HTTP's date has whole seconds: on average half of one has passed. */
const HALF_A_SECOND_MS = 500;

/** systemd-timesyncd makes it once it has set the clock. */
const SYNCHRONIZED = '/run/systemd/timesync/synchronized';

/** @param portalTime what the portal's clock said when `now` was taken here; null where it does not tell. */
export function judgeClock(
  portalTime: Date | null,
  now: Date,
  isSynchronized = existsSync(SYNCHRONIZED),
): Finding {
  const check = 'portal.clock';
  if (portalTime === null) {
    return isSynchronized
      ? ok(check, "the portal does not tell its time; systemd-timesyncd has set this machine's clock")
      : note(
          check,
          "the portal does not tell its time, and nothing shows that this machine's clock is synchronised",
          'certificates and the times of sessions are judged by it',
          'see timedatectl, or chronyc tracking',
        );
  }
  const ahead = now.getTime() - (portalTime.getTime() + HALF_A_SECOND_MS);
  const off = Math.abs(ahead);
  const what = `this machine's clock is ${Math.round(off / 1_000)} s ${ahead > 0 ? 'ahead of' : 'behind'} the portal's`;
  const why =
    'sessions are booked at wrong times, the portal may refuse what seems too old, and certificates may';
  const cure = 'set it: timedatectl set-ntp true, or start chronyd; or see the clock of the portal';
  if (off > BROKEN_MS) return broken(check, what, why, cure);
  if (off > WARNING_MS) return warning(check, what, why, cure);
  return ok(check, "this machine's clock agrees with the portal's");
}
