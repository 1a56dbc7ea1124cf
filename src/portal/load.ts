/**
 * gRPC is loaded here and nowhere else, by those who have found that they need it: half of a portal connect's time is spent on
 * loading it, and a cached connect must not pay for it.
 */
export function loadPortal(): Promise<typeof import('./calls.ts')> {
  prepareRuntime();
  return import('./calls.ts');
}

/** Node's modules that gRPC and what is beside it in its chunk need. One that is missing here is only slower. */
const BUILT_IN = [
  'tls',
  'http2',
  'http',
  'dns',
  'dns/promises',
  'net',
  'crypto',
  'zlib',
  'stream',
  'url',
  'util',
  'os',
  'path',
  'process',
];

/**
 * Node's built-in modules come with a code cache of their own, made under V8's default flags: those of the launcher make V8 reject
 * it, which would cost a portal call 15 ms. They are taken back for as long as these modules are loaded. The program's own chunk is
 * loaded under those that are left in the end, and its cache was made under the same (scripts/keep-code.cjs).
 */
function prepareRuntime(): void {
  // Fetched, not imported: the module is heavy, and a cached connect never comes here.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--rehash-snapshot');
  setFlagsFromString('--sparkplug');
  setFlagsFromString('--min-semi-space-size=0');
  for (const name of BUILT_IN) process.getBuiltinModule(name);
  setFlagsFromString('--no-sparkplug');
  // The expression by which Node knows an IPv6 address is so large that optimizing it takes 3 ms, longer than a TLS handshake.
  setFlagsFromString('--no-regexp-optimization');
}
