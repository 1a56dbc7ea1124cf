import { closeSync } from 'node:fs';

/** The launcher (bin/ocagent-hook) opens it where the machine is so busy that hooks start one after another. */
const DESCRIPTOR = 9;

let isHeld = process.env['OCAGENT_SLOT'] === `${DESCRIPTOR}`;

/**
 * Lets the next hook start: this one is about to wait for something other than the processor, or has done its work. The lock goes
 * with the descriptor. Only the first call does anything.
 */
export function leaveSlot(): void {
  if (!isHeld) return;
  isHeld = false;
  closeSync(DESCRIPTOR);
}
