import { type Goal, goalOf } from './goal.ts';
import { median } from './statistics.ts';
import { memoryBeyond, rateRatios, sum } from './storm-ratios.ts';
import type { Storms } from './storm-rounds.ts';

export function stormGoals({ empty, cached, portal, empty500, cached500 }: Storms): Goal[] {
  const ofCached = rateRatios(empty500, cached500);
  const ofPortal = rateRatios(cached, portal);
  const handshakes = Math.max(...portal.map((one) => one.handshakes));
  const memory = memoryBeyond('anonymous', empty, portal);
  const wrong = sum(portal, ({ verdict }) => verdict.wronglyDenied + verdict.wronglyAllowed);
  const deadlines = sum(portal, ({ verdict }) => verdict.deadlines);
  const openings = sum(portal, (one) => one.openings);
  const at = '200 portal connects at once';
  return [
    goalOf(
      '500 cached connects at once, rate',
      '≥ 0.95 × 500 empty scripts',
      spread(ofCached),
      median(ofCached) >= 0.95,
    ),
    goalOf(`${at}, rate`, '≥ 0.9 × 200 cached connects', spread(ofPortal), median(ofPortal) >= 0.9),
    goalOf(`${at}, TLS handshakes at the portal`, '≤ 2', `${handshakes}`, handshakes <= 2),
    goalOf(`${at}, memory beyond 200 empty scripts`, '≤ 100 MiB', `${memory.toFixed(0)} MiB`, memory <= 100),
    goalOf(
      `${at}, the portal being well: wrong decisions, deadline failures, openings of the breaker`,
      'none',
      `${wrong} wrong, ${deadlines} deadlines, ${openings} openings, of ${sum(portal, ({ endings }) => endings.length)} connects`,
      wrong + deadlines + openings === 0,
    ),
  ];
}

function spread(ratios: readonly number[]): string {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `${median(ratios).toFixed(2)} × (${least.toFixed(2)} to ${most.toFixed(2)} in ${ratios.length} rounds)`;
}
