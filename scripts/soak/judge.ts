/** A session as it is on record. */
export interface Recorded {
  readonly sessionId: string;
  /** `unknown`: its connect was killed before it was recorded. */
  readonly source: string;
  readonly endEventId: string;
  readonly bytesIn: string | null;
  readonly ended: 0 | 1;
}

/** An event that the portal took, in the order of arrival. */
export interface Heard {
  readonly rpc: string;
  readonly eventId: string;
  readonly sessionId: string;
  readonly bytesIn: string;
}

export interface Fault {
  readonly sessionId: string;
  readonly what: string;
}

/** Whatever the portal has heard that is not what was recorded, or has not heard that was. */
export function findFaults(recorded: readonly Recorded[], heard: readonly Heard[]): Fault[] {
  const bySession = new Map<string, Heard[]>();
  for (const event of heard)
    bySession.set(event.sessionId, [...(bySession.get(event.sessionId) ?? []), event]);
  const faults: Fault[] = [];
  for (const session of recorded) {
    const { sessionId } = session;
    const events = bySession.get(sessionId) ?? [];
    bySession.delete(sessionId);
    for (const what of faultsOf(session, events)) faults.push({ sessionId, what });
  }
  for (const sessionId of bySession.keys()) faults.push({ sessionId, what: 'was never recorded' });
  return faults;
}

function faultsOf(session: Recorded, events: readonly Heard[]): string[] {
  const connects = events.filter(({ rpc }) => rpc === 'ReportConnect');
  const disconnects = events.filter(({ rpc }) => rpc === 'ReportDisconnect');
  const faults: string[] = [];
  if (session.source !== 'unknown' && connects.length === 0) faults.push('its connect was lost');
  if (session.ended === 1 && disconnects.length === 0) faults.push('its disconnect was lost');
  if (session.ended === 0 && disconnects.length > 0) faults.push('it has not ended, and was reported so');
  for (const [name, list] of [
    ['connect', connects],
    ['disconnect', disconnects],
  ] as const) {
    if (new Set(list.map(({ eventId }) => eventId)).size > 1)
      faults.push(`its ${name} has several event ids`);
  }
  if (disconnects.some(({ eventId }) => eventId !== session.endEventId)) faults.push('another event id');
  if (disconnects.some(({ bytesIn }) => bytesIn !== session.bytesIn)) faults.push('other byte counts');
  const first = events.findIndex(({ rpc }) => rpc === 'ReportDisconnect');
  if (first >= 0 && connects.length > 0 && events.findIndex(({ rpc }) => rpc === 'ReportConnect') > first) {
    faults.push('the disconnect came before the connect');
  }
  return faults;
}
