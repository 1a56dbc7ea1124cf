import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const DEPLOY = join(ROOT, 'deploy');
export const RULES = join(DEPLOY, 'prometheus', 'ocagent-hook.rules.yml');
export const DASHBOARD = join(DEPLOY, 'grafana', 'ocagent-hook.json');

/** As much of a dashboard as tests look at. */
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: ReadonlyArray<{
    readonly expr: string;
    readonly refId: string;
    readonly legendFormat?: string;
    readonly instant?: boolean;
    readonly interval?: string;
  }>;
}

export interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly links?: readonly unknown[];
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;
}

export interface Expression {
  readonly panel: string;
  readonly expr: string;
}

/** Every query, with Grafana's variables filled in, as Prometheus gets it. */
export function expressionsOf(
  dashboard: Dashboard,
  variables: { instance: string; rateInterval: string },
): Expression[] {
  return dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr
        .replaceAll('$__rate_interval', variables.rateInterval)
        .replaceAll('$instance', variables.instance),
    })),
  );
}

/** A metric as an expression chooses it, and what it asks of its labels. */
export interface Selector {
  readonly name: string;
  readonly matchers: ReadonlyArray<{
    readonly label: string;
    readonly operator: string;
    readonly value: string;
  }>;
}

export function selectorsIn(text: string): Selector[] {
  return [...text.matchAll(/\b(ocserv_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', inside = '']) => ({
    name,
    matchers: [...inside.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
      ([, label = '', operator = '', value = '']) => ({ label, operator, value }),
    ),
  }));
}

/** The labels that series are put together by, or that an alert names. */
export function labelsNamedIn(text: string): string[] {
  const clauses = text.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g);
  const grouped = [...clauses].flatMap(([, labels = '']) => labels.split(',').map((label) => label.trim()));
  return [...grouped, ...[...text.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)];
}

export function labelsInLegend(legend: string): string[] {
  return [...legend.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label = '']) => label);
}
