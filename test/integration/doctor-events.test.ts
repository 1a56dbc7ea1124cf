import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';

function sql(path: string, text: string): void {
  const db = new Database(path);
  db.exec(text);
  db.close();
}

describe('doctor says of the outbox', () => {
  const fixture = withPortal({ default: { allowed: true } });
  const event = (columns: Record<string, string | number>): string => {
    const all = {
      type: "'disconnect'",
      username: "'alice'",
      at_wall: Date.now(),
      body: `'{"stats":{}}'`,
      retry_at: 0,
      ...columns,
    };
    return `INSERT INTO event (${Object.keys(all).join(', ')}) VALUES (${Object.values(all).join(', ')});`;
  };

  test('that events have waited for long, and the error that keeps them', async () => {
    await using patient = await Patient.admit(fixture);
    sql(
      patient.agent.state,
      `${event({ id: "'a'", session_id: "'1-1'", at_wall: Date.now() - 20 * 60_000 })}
       UPDATE drain SET failures = 3, last_error = 'nothing listens on 192.0.2.1:9091', retry_at = ${Date.now() + 60_000}`,
    );
    await patient.has(
      'broken',
      'events.backlog',
      /1 event\(s\) wait .* for 20 minutes; last error: nothing listens on 192\.0\.2\.1:9091/,
      /events flush/,
    );
  });

  test('that the clock was set back since the oldest happened', async () => {
    await using patient = await Patient.admit(fixture);
    sql(patient.agent.state, event({ id: "'f'", session_id: "'4-4'", at_wall: Date.now() + 3 * 3_600_000 }));
    const { findings } = await patient.has(
      'note',
      'events.clock',
      /in the future: the clock was set back/,
      /timedatectl/,
    );
    assert.doesNotMatch(JSON.stringify(findings), /-\d+ minute/);
  });

  test('that the portal was away just now', async () => {
    await using patient = await Patient.admit(fixture);
    sql(patient.agent.state, `UPDATE drain SET failures = 1, last_error = 'it was away'`);
    await patient.has(
      'warning',
      'events.backlog',
      /found the portal away: it was away \(0 event/,
      /events flush/,
    );
  });

  test('that events were set aside', async () => {
    await using patient = await Patient.admit(fixture);
    sql(patient.agent.state, event({ id: "'b'", session_id: "'2-2'", failed_wall: Date.now() }));
    await patient.has('warning', 'events.failed', /1 event\(s\) were set aside/, /events list --failed/);
  });

  test('that it is nearly full', async () => {
    await using patient = await Patient.admit(fixture, '[events]\nmax_pending = 10\n');
    sql(
      patient.agent.state,
      Array.from({ length: 9 }, (_, i) => event({ id: `'e${i}'`, session_id: `'${i}-1'` })).join('\n'),
    );
    await patient.has('warning', 'events.bound', /9 of at most 10 events wait/, /events\.max_pending/);
  });

  test('that nothing is sent while events.enabled = false', async () => {
    await using patient = await Patient.admit(fixture, '[events]\nenabled = false\n');
    sql(patient.agent.state, event({ id: "'c'", session_id: "'3-3'", at_wall: 0 }));
    await patient.has(
      'note',
      'events.backlog',
      /1 event\(s\) wait, and events\.enabled = false/,
      /events\.enabled = true/,
    );
  });
});
