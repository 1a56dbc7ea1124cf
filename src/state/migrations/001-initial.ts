export default `
-- What the state is: when it began (the start time of its counters) and which one it is.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One sequence orders questions, answers, uses and revocations across all processes, whatever the clocks say.
CREATE TABLE sequence (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
INSERT INTO sequence VALUES (1, 0);

-- The decision cache. The key is all that the portal decides on and that is not new with each session; the
-- username comes first, so that one prefix serves a user's bound and his revocation.
CREATE TABLE decision (
  username TEXT NOT NULL, vhost TEXT NOT NULL, groupname TEXT NOT NULL, client_ip TEXT NOT NULL,
  allowed INTEGER NOT NULL CHECK (allowed IN (0, 1)),
  reason TEXT NOT NULL,
  routes TEXT NOT NULL CHECK (json_valid(routes)),
  dns_servers TEXT NOT NULL CHECK (json_valid(dns_servers)),
  cache_ttl REAL,
  asked INTEGER NOT NULL, answered INTEGER NOT NULL,
  answered_wall INTEGER NOT NULL, answered_boot TEXT NOT NULL, answered_mono INTEGER NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (username, vhost, groupname, client_ip)
) STRICT, WITHOUT ROWID;
CREATE INDEX decision_by_use ON decision (used);

-- Counting a large table reads all of it, so the number is kept as rows come and go.
CREATE TABLE decision_size (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT;
INSERT INTO decision_size VALUES (1, 0);
CREATE TRIGGER decision_added AFTER INSERT ON decision
  BEGIN UPDATE decision_size SET value = value + 1 WHERE id = 1; END;
CREATE TRIGGER decision_removed AFTER DELETE ON decision
  BEGIN UPDATE decision_size SET value = value - 1 WHERE id = 1; END;

-- Allowances, and denials, asked for before these points of the sequence are not kept any more. The empty username
-- stands for all users.
CREATE TABLE revocation (
  username TEXT PRIMARY KEY, allowances INTEGER NOT NULL, denials INTEGER NOT NULL,
  wall INTEGER NOT NULL, boot TEXT NOT NULL, mono INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The circuit breaker, whole, as src/resilience/circuit-breaker.ts defines it.
CREATE TABLE breaker (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL CHECK (json_valid(state))) STRICT;

-- Whose failures have counted within the interval, so that no single account can open the breaker.
CREATE TABLE breaker_blame (
  username TEXT PRIMARY KEY, wall INTEGER NOT NULL, boot TEXT NOT NULL, mono INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who wants to ask the portal, in order, so that not all do so at once.
CREATE TABLE portal_queue (
  number INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL, boot TEXT NOT NULL, mono INTEGER NOT NULL
) STRICT;

-- One row a session. Byte counts are TEXT: ocserv counts in unsigned 64 bits, SQLite's integers are signed.
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  ocserv_id TEXT NOT NULL,
  vhost TEXT NOT NULL, username TEXT NOT NULL, groupname TEXT NOT NULL,
  client_ip TEXT NOT NULL, vpn_ip TEXT NOT NULL, device TEXT NOT NULL,
  source TEXT NOT NULL,
  routes TEXT NOT NULL CHECK (json_valid(routes)),
  dns_servers TEXT NOT NULL CHECK (json_valid(dns_servers)),
  connected_wall INTEGER NOT NULL, connected_boot TEXT NOT NULL, connected_mono INTEGER NOT NULL,
  updated_wall INTEGER,
  ended_wall INTEGER,
  bytes_in TEXT, bytes_out TEXT, duration_seconds TEXT,
  metadata TEXT NOT NULL CHECK (json_valid(metadata))
) STRICT;
-- ocserv's ID is a process id, which recurs: at most one live session is looked for under it, the newest.
CREATE INDEX session_live ON session (ocserv_id) WHERE ended_wall IS NULL;

-- Cumulative over all invocations. \`attributes\` is a JSON object with sorted keys, {} where there are none.
CREATE TABLE counter (
  name TEXT NOT NULL, attributes TEXT NOT NULL CHECK (json_valid(attributes)), value INTEGER NOT NULL,
  PRIMARY KEY (name, attributes)
) STRICT, WITHOUT ROWID;

-- The portal as last seen: when it answered, and what went wrong last.
CREATE TABLE portal_contact (
  id INTEGER PRIMARY KEY CHECK (id = 1), last_success INTEGER, last_error TEXT, last_error_at INTEGER
) STRICT;
INSERT INTO portal_contact VALUES (1, NULL, NULL, NULL);
`;
