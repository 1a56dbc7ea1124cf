/**
 * From when on something is too late, for `status` and `doctor`; deploy/prometheus has the same bounds in its own words.
 */

/** Seconds: an event that waits for the portal longer than that is a hole in somebody's accounting. */
export const OLD_EVENT_SECONDS = 15 * 60;

/** Seconds since `maintain` last came to its end; it should run every minute. */
export const LATE_MAINTAIN_SECONDS = 10 * 60;

/** Days before its end at which a certificate must be renewed. */
export const CERTIFICATE_DAYS = 14;
