import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DECISIONS } from './decisions.ts';
import { HOOKS } from './hooks.ts';
import { NOW } from './now.ts';
import { DATASOURCE } from './panels.ts';
import { PORTAL } from './portal.ts';
import { prometheusName } from './queries.ts';
import { SESSIONS } from './sessions.ts';
import { UPKEEP } from './upkeep.ts';

/** In the order in which somebody who was woken up asks. */
const ROWS = [
  ['Now', NOW],
  ['Decisions', DECISIONS],
  ['Portal and circuit breaker', PORTAL],
  ['Hooks', HOOKS],
  ['Sessions and what the portal is told', SESSIONS],
  ['Upkeep', UPKEEP],
] as const;

export function buildDashboard(): Dashboard {
  const servers = `label_values(${prometheusName('ocserv.agent.info')}, instance)`;
  const builder = new DashboardBuilder('ocagent-hook')
    .uid('ocagent-hook')
    .description('ocserv VPN servers that ask a portal who may connect: decisions, the portal, sessions')
    .tags(['ocserv', 'vpn'])
    .timezone('browser')
    .time({ from: 'now-6h', to: 'now' })
    .refresh('1m')
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('instance')
        .label('Server')
        .datasource(DATASOURCE)
        .query({ query: servers, refId: 'instance' })
        .definition(servers)
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .sort(VariableSort.NaturalAsc)
        .multi(true)
        .includeAll(true)
        .current({ text: ['All'], value: ['$__all'], selected: true }),
    );
  for (const [title, panels] of ROWS) {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(panel);
  }
  const dashboard = builder.build();
  // Grafana would number them itself, anew at each import: links to a panel would not last.
  dashboard.panels?.forEach((panel, place) => {
    panel.id = place + 1;
  });
  return dashboard;
}
