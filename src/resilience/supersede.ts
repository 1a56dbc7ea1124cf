/** When a question went out and when its answer was kept, as numbers drawn from the state's one sequence. */
export interface Asked {
  readonly asked: number;
  readonly answered: number;
  readonly allowed: boolean;
}

/**
 * Does a new answer, kept now, take the place of the one already kept? Siblings ask about the same user at the
 * same time and their answers arrive in any order, so arrival decides nothing: what was asked later is newer, and
 * of two questions that overlapped nobody can tell which the portal saw last, so the denial wins.
 */
export function supersedes(fresh: { asked: number; allowed: boolean }, kept: Asked): boolean {
  const overlapped = fresh.asked < kept.answered;
  if (overlapped && fresh.allowed !== kept.allowed) return !fresh.allowed;
  return fresh.asked > kept.asked;
}
