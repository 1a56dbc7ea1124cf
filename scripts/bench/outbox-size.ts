export const SESSIONS = 1_000;
/** A connect and a disconnect of each. */
export const EVENTS = 2 * SESSIONS;
