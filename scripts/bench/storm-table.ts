import type { HookStorm } from './hook-storm.ts';
import type { OtherStorm } from './peer-storm.ts';
import { median } from './statistics.ts';
import type { Storm } from './storm.ts';
import { memoryBeyond, rateRatios, sum } from './storm-ratios.ts';
import type { Storms } from './storm-rounds.ts';
import type { Table } from './table.ts';

export function stormTable(storms: Storms, remarks: readonly string[]): Table {
  return {
    title: 'Storms',
    columns: [
      'at once',
      'per s',
      '× empty',
      'CPU ms',
      'MiB',
      'machine',
      'else %',
      'slowest s',
      'handshakes',
      'wrong',
      'otherwise',
      'deadlines',
      'openings',
    ],
    rows: [
      line('200 empty scripts', storms.empty, storms.empty),
      hookLine('200 cached connects', storms.empty, storms.cached),
      hookLine('200 portal connects', storms.empty, storms.portal),
      hookLine('200 portal connects, events off', storms.empty, storms.eventsOff),
      ...storms.peers.map((peer) => peerLine(`200 times ${peer.name}`, storms.empty, peer)),
      line('500 empty scripts', storms.empty500, storms.empty500),
      hookLine('500 cached connects', storms.empty500, storms.cached500),
    ],
    notes: [
      `Medians of ${storms.empty.length} rounds, of 500 of ${storms.empty500.length}, with events off and of other programs of one; from slowest on the worst or the sum of all rounds.`,
      'MiB: the highest sum of the anonymous memory of all their processes, drains too, beyond that of as many empty scripts. machine: what the whole machine had less available, likewise.',
      "else: the share of the processors that went to anything else, as the portal, a drain, and whoever else works on this machine: where it is large, a machine of one's own has fewer deadlines.",
      'slowest: from the start of a process to its decision. wrong: another answer than that of the portal, otherwise: from another source than the row says.',
      ...remarks,
    ],
  };
}

function line(name: string, base: readonly Storm[], storms: readonly Storm[]): string[] {
  const memory = (what: 'anonymous' | 'machine'): string =>
    base === storms
      ? `(${median(storms.map(({ peak }) => peak[what])).toFixed(0)})`
      : memoryBeyond(what, base, storms).toFixed(0);
  return [
    name,
    median(storms.map(({ rate }) => rate)).toFixed(1),
    median(rateRatios(base, storms)).toFixed(2),
    median(storms.map(({ cpu }) => cpu)).toFixed(1),
    memory('anonymous'),
    memory('machine'),
    (100 * median(storms.map(({ elsewhere }) => elsewhere))).toFixed(0),
  ];
}

function hookLine(name: string, base: readonly Storm[], storms: readonly HookStorm[]): string[] {
  return [
    ...line(name, base, storms),
    (Math.max(...storms.map(({ verdict }) => verdict.slowest)) / 1_000).toFixed(1),
    `${Math.max(...storms.map(({ handshakes }) => handshakes))}`,
    `${sum(storms, ({ verdict }) => verdict.wronglyDenied + verdict.wronglyAllowed)}`,
    `${sum(storms, ({ verdict }) => verdict.otherwise)}`,
    `${sum(storms, ({ verdict }) => verdict.deadlines)}`,
    `${sum(storms, ({ openings }) => openings)}`,
  ];
}

function peerLine(name: string, base: readonly Storm[], peer: OtherStorm): string[] {
  return [...line(name, base, [peer]), '', `${peer.handshakes}`, `${peer.wrong}`];
}
