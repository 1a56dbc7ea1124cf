import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readRequest, readResult } from '../../src/policy/portal-result.ts';
import type { Answer, Failure, PortalCall, PortalResult, Request } from '../../src/policy/types.ts';
import { StateUnusable } from '../../src/state/unusable.ts';

// Also what no well-formed text holds: a name is the environment's bytes, a reason may be cut within a character.
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\u0000', '\ud83d', '\u2028', '"', '{"answer":{"allowed":true}}', '__proto__'),
);
const PLAIN = { noNullPrototype: true } as const;
const number = fc.double({ min: 0, noDefaultInfinity: true, noNaN: true });

const answer: fc.Arbitrary<Answer> = fc.record(
  {
    allowed: fc.boolean(),
    reason: text,
    routes: fc.array(text, { maxLength: 4 }),
    dnsServers: fc.array(text, { maxLength: 4 }),
    shouldDisconnect: fc.boolean(),
    cacheTtl: fc.oneof(fc.constantFrom('none' as const, 'not stored' as const), number),
    storable: fc.boolean(),
  },
  PLAIN,
);
const failure: fc.Arbitrary<Failure> = fc.record(
  {
    code: text,
    detail: text,
    cure: text,
    counts: fc.constantFrom('unreached', 'provokable', 'no'),
    misconfigured: fc.boolean(),
  },
  PLAIN,
);
const call: fc.Arbitrary<PortalCall> = fc.record({ rpc: text, code: text, seconds: number }, PLAIN);
const result: fc.Arbitrary<PortalResult> = fc.oneof(
  fc.record({ answer, call }, { requiredKeys: ['answer'], noNullPrototype: true }),
  fc.record({ failure, call }, { requiredKeys: ['failure'], noNullPrototype: true }),
);
const request: fc.Arbitrary<Request> = fc.record(
  {
    vhost: text,
    vhostNamed: fc.boolean(),
    username: text,
    groupname: text,
    clientIp: text,
    vpnIp: text,
    device: text,
    sessionId: text,
  },
  PLAIN,
);

type Path = readonly (string | number)[];

/** Every place in a value, the value itself not among them. */
function placesOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const place = [...path, Array.isArray(value) ? Number(key) : key];
    return [place, ...placesOf(inner, place)];
  });
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown>)[key], value);
}

/** A copy with something else in that place; without it where that is `undefined`. */
function changed<T>(value: T, path: Path, to: unknown): unknown {
  const copy = structuredClone(value);
  const parent = at(copy, path.slice(0, -1)) as Record<string | number, unknown>;
  const last = path.at(-1) ?? '';
  if (to === undefined) delete parent[last];
  else parent[last] = to;
  return copy;
}

/** What JSON can hold, of another type than what is there. */
const STRANGE = [null, true, 0, 1.5, 'yes', '', [], ['x'], [1], {}, { allowed: true }];
const kindOf = (value: unknown): string =>
  Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value;

describe('what a leader writes for a sibling', () => {
  test('is read as what it was, whatever the portal said', () => {
    fc.assert(
      fc.property(result, (value) => {
        assert.deepEqual(readResult(JSON.stringify(value)), value);
      }),
      { numRuns: 500 },
    );
  });

  test('is refused where anything in it is of another kind, or missing', () => {
    fc.assert(
      fc.property(result, fc.nat(), fc.constantFrom(...STRANGE), (value, which, strange) => {
        const places = placesOf(value);
        const place = places[which % places.length] as Path;
        fc.pre(kindOf(at(value, place)) !== kindOf(strange));
        // A ttl is text or a number, and of the texts two.
        fc.pre(!(place.at(-1) === 'cacheTtl' && typeof strange === 'number'));
        assert.throws(() => readResult(JSON.stringify(changed(value, place, strange))), StateUnusable);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(result, fc.nat(), (value, which) => {
        // Without its call it is still a result, and a list that lacks one text is a list.
        const places = placesOf(value).filter((place) => place[0] !== 'call' || place.length > 1);
        const place = places[which % places.length] as Path;
        fc.pre(typeof place.at(-1) !== 'number');
        assert.throws(() => readResult(JSON.stringify(changed(value, place, undefined))), StateUnusable);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is refused where it says two things, or a word that no leader has', () => {
    const allowed = fc.sample(answer, 1)[0] as Answer;
    const away = fc.sample(failure, 1)[0] as Failure;
    for (const wrong of [
      { answer: allowed, failure: away },
      { answer: allowed, failure: null },
      { answer: { ...allowed, cacheTtl: 'for ever' } },
      { answer: { ...allowed, cacheTtl: null } },
      { failure: { ...away, counts: 'perhaps' } },
      { answer: allowed, call: null },
      { call: { rpc: 'CheckPolicy', code: 'OK', seconds: 1 } },
    ]) {
      assert.throws(() => readResult(JSON.stringify(wrong)), StateUnusable, JSON.stringify(wrong));
    }
  });

  test('is nothing else: no text, JSON or not, is taken for an answer', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.constantFrom('', 'null', 'true', '[]')), (anything) => {
        assert.throws(() => readResult(anything), StateUnusable);
        assert.throws(() => readRequest(anything), StateUnusable);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('what a sibling asks', () => {
  test('is read as what it was, whoever the user says he is', () => {
    fc.assert(
      fc.property(request, (value) => {
        assert.deepEqual(readRequest(JSON.stringify(value)), value);
      }),
      { numRuns: 500 },
    );
  });

  test('is refused where anything in it is of another kind, or missing', () => {
    fc.assert(
      fc.property(request, fc.nat(), fc.constantFrom(...STRANGE, undefined), (value, which, strange) => {
        const places = placesOf(value);
        const place = places[which % places.length] as Path;
        fc.pre(kindOf(at(value, place)) !== kindOf(strange));
        assert.throws(() => readRequest(JSON.stringify(changed(value, place, strange))), StateUnusable);
      }),
      { numRuns: 1_000 },
    );
  });
});
