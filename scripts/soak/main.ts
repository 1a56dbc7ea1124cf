/**
 * The kill campaign at length: `make soak ROUNDS=1000`. Hooks, drains and the portal are killed at random moments; at the end
 * all that was recorded must have arrived.
 */
import { campaign } from './campaign.ts';

const rounds = Number(process.argv[2] ?? 1_000);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: node scripts/soak/main.ts [rounds]');
  process.exit(2);
}

const began = performance.now();
const report = await campaign({
  rounds,
  width: 4,
  random: Math.random,
  say: (text) => console.log(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${text}`),
});
const { recorded, delivered, repeats, killed, faults } = report;
console.log(`${recorded} sessions on record; the portal took ${delivered} events, ${repeats} of them again`);
console.log(`killed: ${killed.hooks} hooks, ${killed.drains} drains, ${killed.portals} portals`);
for (const { sessionId, what } of faults) console.error(`${sessionId}: ${what}`);
console.log(faults.length === 0 ? 'nothing was lost' : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
