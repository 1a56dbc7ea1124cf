/** Nice values: whoever holds the lock goes before those who wait for it, and before nearly everything else. */
const HURRIED = -15;
/** What nobody waits for goes after those whom ocserv waits for. */
const BEHIND = 10;

let usual: number | null = null;
let allowed = true;
/** For how many reasons at once. */
let reasons = 0;

/**
 * Raises this process' priority until the function that it returns is called. In a storm dozens of processes share a core, and one
 * that is put aside while others wait for what it does (it holds the state's one write lock, or asks the portal for them) keeps all of
 * them waiting for as long as it takes until its turn comes again. Only root may; for others nothing changes.
 */
export function hurry(): () => void {
  if (!allowed) return () => {};
  // Fetched, not imported: where nobody contends for the lock, no hook pays for it.
  const os = process.getBuiltinModule('node:os');
  try {
    usual ??= os.getPriority();
    if (reasons === 0) os.setPriority(Math.min(usual, HURRIED));
  } catch {
    allowed = false;
    return () => {};
  }
  reasons += 1;
  return () => {
    reasons -= 1;
    if (reasons === 0 && usual !== null) os.setPriority(usual);
  };
}

/**
 * Lowers this process' usual priority for good: it does what can wait, and hurries where it cannot. Only where it may raise it again,
 * so that it keeps nobody waiting.
 */
export function standBack(): void {
  hurry()();
  if (!allowed || usual === null) return;
  usual = Math.max(usual, BEHIND);
  if (reasons === 0) process.getBuiltinModule('node:os').setPriority(usual);
}
