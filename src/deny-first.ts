/**
 * The exit status is a denial until a decision sets it: an event loop that empties, or a promise that never settles,
 * would otherwise end with 0 and let everybody in.
 */
process.exitCode = 1;
process.umask(0o077);
