import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge';
import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import { ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as StateTimeline } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';

/** What every panel must have. */
export interface PanelText {
  title: string;
  /** How to read it, what is normal, what to do. */
  description: string;
  /** One of Grafana's ids. */
  unit: string;
  /** Of the 24 columns. */
  width: number;
  height?: number;
}

/** A query, and how its series are called. */
export type Query = readonly [expr: string, legend: string];

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana puts in what is chosen there.
export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;

/**
 * The figures change once a minute, however often they are scraped. Grafana makes $__rate_interval four times this, so that each
 * rate sees several of their changes: over one minute of scrapes it would see one or none.
 */
const MIN_STEP = '1m';

export const COLOURS = {
  good: 'green',
  attention: 'orange',
  bad: 'red',
  neutral: 'blue',
  none: 'text',
} as const;

/** Seconds. */
export const DAY = 86_400;

/** As a description names one of our commands. */
export function command(words: string): string {
  return `\`ocagent-hook ${words}\``;
}

export function timeSeries(text: PanelText, queries: readonly Query[]): TimeSeries {
  return dress(new TimeSeries(), text)
    .targets(queries.map(overTime))
    .min(0)
    .lineWidth(1)
    .fillOpacity(10)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
}

/** Parts of a whole: bars on top of each other. */
export function stacked(text: PanelText, queries: readonly Query[]): TimeSeries {
  return timeSeries(text, queries)
    .drawStyle(GraphDrawStyle.Bars)
    .fillOpacity(80)
    .lineWidth(0)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
}

export function stat(text: PanelText, queries: readonly Query[]): Stat {
  return dress(new Stat(), text)
    .targets(queries.map(now))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .colorMode(BigValueColorMode.Background)
    .graphMode(BigValueGraphMode.None);
}

export function barGauge(text: PanelText, queries: readonly Query[]): BarGauge {
  return dress(new BarGauge(), text)
    .targets(queries.map(now))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

export function stateTimeline(text: PanelText, queries: readonly Query[]): StateTimeline {
  return dress(new StateTimeline(), text).targets(queries.map(overTime)).showValue(VisibilityMode.Never);
}

export function table(text: PanelText, query: Query): Table {
  return dress(new Table(), text).targets([now(query, 0).format(PromQueryFormat.Table)]);
}

/** The first colour holds below the first bound. */
export function thresholds(first: string, ...rest: readonly (readonly [bound: number, colour: string])[]) {
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([{ value: null, color: first }, ...rest.map(([value, color]) => ({ value, color }))]);
}

/** Series by these names have these colours. */
export function colour(panel: TimeSeries, colours: Readonly<Record<string, string>>): TimeSeries {
  for (const [name, fixedColor] of Object.entries(colours)) {
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor } }]);
  }
  return panel;
}

/** Draws the bounds as lines. */
export function thresholdLine(panel: TimeSeries, bounds: ThresholdsConfigBuilder): TimeSeries {
  return panel
    .thresholds(bounds)
    .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
}

interface Dressable {
  title(title: string): this;
  description(description: string): this;
  unit(unit: string): this;
  span(width: number): this;
  height(height: number): this;
  datasource(datasource: { type: string; uid: string }): this;
}

function dress<P extends Dressable>(panel: P, { title, description, unit, width, height = 8 }: PanelText): P {
  return panel
    .title(title)
    .description(description.replace(/\s+/g, ' '))
    .unit(unit)
    .span(width)
    .height(height)
    .datasource(DATASOURCE);
}

function overTime([expr, legend]: Query, place: number): DataqueryBuilder {
  return query(expr, legend, place).range().interval(MIN_STEP);
}

function now([expr, legend]: Query, place: number): DataqueryBuilder {
  return query(expr, legend, place).instant();
}

function query(expr: string, legend: string, place: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + place))
    .datasource(DATASOURCE)
    .expr(expr)
    .legendFormat(legend);
}
