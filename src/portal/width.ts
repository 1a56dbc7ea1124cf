/** Calls on their way at once over one connection: at first few, because a portal that is away must not cost dozens, */
export const NARROWEST = 8;
/** then as many streams as most servers allow. */
const WIDEST = 100;

/** How many may be on their way once the portal has answered one more. */
export function wider(width: number): number {
  return Math.min(WIDEST, width * 2);
}
