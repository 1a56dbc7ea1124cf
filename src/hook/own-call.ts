import { launcherWaits } from '../state/process.ts';
import { State } from '../state/state.ts';
import type { Caller } from './caller.ts';
import { elapsed, isLate, spent } from './elapsed.ts';
import { OwnPortalAccess } from './portal-access.ts';
import { leaveSlot } from './slot.ts';

/** The call that ocserv has started this process for. */
export const OWN_CALL: Caller = {
  pid: process.ppid,
  // The launcher counts.
  isAgain: Number(process.env['OCAGENT_TRY'] ?? 1) > 1,
  get canStartDrain() {
    return launcherWaits();
  },
  elapsed,
  spent,
  isLate,
  openState: (options) => State.open(options),
  portal: (config, log) => new OwnPortalAccess(config, log),
  leaveSlot,
  // Who is killed answers nobody, and who hears SIGTERM leaves at once: there is nobody to stop for.
  commit: () => {},
};
