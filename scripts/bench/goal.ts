import type { Table } from './table.ts';

/** A figure that this program wants to reach, and how far it is. */
export interface Goal {
  readonly figure: string;
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean;
}

export function goalOf(figure: string, goal: string, measured: string, met: boolean): Goal {
  return { figure, goal, measured, met };
}

export function goalTable(goals: readonly Goal[]): Table {
  return {
    title: 'Goals',
    columns: ['figure', 'goal', 'measured', 'met'],
    rows: goals.map(({ figure, goal, measured, met }) => [figure, goal, measured, met ? 'yes' : 'no']),
  };
}

/** For a terminal, which is not wide enough for that table. */
export function goalLines(goals: readonly Goal[]): string {
  return goals
    .map(
      ({ figure, goal, measured, met }) =>
        `  ${met ? 'met    ' : 'not met'}  ${figure}\n           ${goal}: ${measured}\n`,
    )
    .join('');
}
