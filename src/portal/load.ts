/**
 * gRPC is loaded here and nowhere else, by those who have found that they need it: half of a portal connect's time is spent on
 * loading it, and a cached connect must not pay for it.
 */
export function loadPortal(): Promise<typeof import('./calls.ts')> {
  acceptNodesOwnCodeCache();
  return import('./calls.ts');
}

/**
 * Node's built-in modules (tls, http2) come with a code cache of their own, made under V8's default flags: those of the launcher
 * make V8 reject it, which would cost a portal call 15 ms. They have done their work by now.
 */
function acceptNodesOwnCodeCache(): void {
  // Fetched, not imported: the module is heavy, and a cached connect never comes here.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--rehash-snapshot');
  setFlagsFromString('--sparkplug');
}
