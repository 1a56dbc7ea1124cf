/** Nice values: whoever holds the lock goes before those who wait for it, and before nearly everything else. */
const HURRIED = -15;

let usual: number | null = null;
let allowed = true;

/**
 * Raises this process' priority until the function that it returns is called. In a storm dozens of processes share a core, and one
 * that is put aside while it holds the state's one write lock keeps all the others waiting for as long as it takes until
 * its turn comes again. Only root may; for others nothing changes.
 */
export function hurry(): () => void {
  if (!allowed) return () => {};
  // Fetched, not imported: where nobody contends for the lock, no hook pays for it.
  const os = process.getBuiltinModule('node:os');
  try {
    usual ??= os.getPriority();
    os.setPriority(Math.min(usual, HURRIED));
  } catch {
    allowed = false;
    return () => {};
  }
  const before = usual;
  return () => os.setPriority(before);
}

/** From now on this process goes first all the time, because others wait for what it does. Only root may. */
export function goFirst(): void {
  hurry();
  usual = usual === null ? null : Math.min(usual, HURRIED);
}
