/**
 * Puts the decisions of users 0 to COUNT - 1 (population.ts) into a new state's cache, as if the portal had answered AGE
 * milliseconds ago, and leaves it without a write-ahead log, to be copied:
 *
 *   OCAGENT_CONFIG=FILE node scripts/bench/fill-cache.ts COUNT [AGE]
 */
import Database from 'better-sqlite3';
import { configFile, loadConfig } from '../../src/config/load.ts';
import { CHECKPOINT_PAGES } from '../../src/state/state.ts';
import { openState } from './open-state.ts';
import { DENIED_REASON, EVERY, GROUP } from './population.ts';

const [count = 0, age = 0] = process.argv.slice(2).map(Number);
const { path } = (await loadConfig(configFile())).state;
await openState({
  path,
  create: true,
  patience: 10_000,
  checkpointPages: CHECKPOINT_PAGES,
});

const db = new Database(path, { fileMustExist: true });
// Half a gigabyte: the index of use is filled out of order.
db.pragma('cache_size = -500000');
db.transaction(() => {
  db.prepare(
    `WITH RECURSIVE each(n) AS (SELECT 0 WHERE :count > 0 UNION ALL SELECT n + 1 FROM each WHERE n + 1 < :count)
     INSERT INTO decision (username, vhost, groupname, client_ip, allowed, reason, routes, dns_servers, cache_ttl,
       asked, answered, answered_wall, answered_boot, answered_mono, used)
     SELECT 'user' || n, 'default', :group, '10.' || (n >> 16) || '.' || ((n >> 8) & 255) || '.' || (n & 255),
       n % :every <> :every - 1, iif(n % :every = :every - 1, :reason, ''), '[]', '[]', NULL,
       n + 1, n + 1, :wall, '', 0,
       -- A prime: who used it last has nothing to do with his name.
       n * 7919 % :count
     FROM each`,
  ).run({ count, group: GROUP, every: EVERY, reason: DENIED_REASON, wall: Date.now() - age });
  db.prepare('UPDATE sequence SET value = ?').run(count + 1);
})();
db.pragma('wal_checkpoint(TRUNCATE)');
db.close();
