export default `
-- Histograms, cumulative over all invocations like the counters. \`buckets\` has how many fell into each, by the bounds of
-- src/metrics/catalogue.ts in their order and one more above them.
CREATE TABLE histogram (
  name TEXT NOT NULL, attributes TEXT NOT NULL CHECK (json_valid(attributes)),
  buckets TEXT NOT NULL CHECK (json_valid(buckets)), sum REAL NOT NULL,
  PRIMARY KEY (name, attributes)
) STRICT, WITHOUT ROWID;

-- Who exports the metrics, at most one process at a time, and how the last export went.
CREATE TABLE export (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  -- 0 while nobody does.
  pid INTEGER NOT NULL,
  -- When the latest began.
  wall INTEGER NOT NULL, boot TEXT NOT NULL, mono INTEGER NOT NULL,
  last_success INTEGER, last_error TEXT, last_error_at INTEGER
) STRICT;
INSERT INTO export VALUES (1, 0, 0, '', 0, NULL, NULL, NULL);

-- When the periodic work was last done, whole.
CREATE TABLE maintenance (id INTEGER PRIMARY KEY CHECK (id = 1), last_run INTEGER) STRICT;
INSERT INTO maintenance VALUES (1, NULL);

-- When the portal's certificate expires, as it was last met.
ALTER TABLE portal_contact ADD COLUMN certificate_expires INTEGER;
`;
