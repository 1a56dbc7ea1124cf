import type { Part } from './bench.ts';
import { measureCacheSize } from './cache-size.ts';
import { measureCleanup } from './cleanup.ts';
import { measureDrainRate } from './drain-rate.ts';
import { measureHooks } from './hooks.ts';
import { measureLaunch } from './launch.ts';
import { measureSideBySide } from './side-by-side.ts';
import { measureStorms } from './storms.ts';
import { measureTelemetry } from './telemetry.ts';

/** By the name that --only takes, in the order in which they are measured and reported. */
export const PARTS: Readonly<Record<string, Part>> = {
  hooks: measureHooks,
  storms: measureStorms,
  'cache-size': measureCacheSize,
  cleanup: measureCleanup,
  peers: measureSideBySide,
  telemetry: measureTelemetry,
  launch: measureLaunch,
  drain: measureDrainRate,
};
