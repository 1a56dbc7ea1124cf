import { POLICY, RULES } from './stage.ts';
import type { Steps } from './steps.ts';

/** What the demo shows, in its order. Each step is checked against what is expected of it here. */
export async function tellStory(steps: Steps): Promise<void> {
  await portalIsUp(steps);
  await portalIsDown(steps);
  await portalIsBack(steps);
  steps.scene('All of it at a glance: ocagent-hook status');
  await steps.showStatus();
  steps.scene('What monitoring sees of it: ocagent-hook metrics show');
  await steps.showMetrics();
}

async function portalIsUp(steps: Steps): Promise<void> {
  const { ttlSeconds } = RULES;
  steps.scene('The portal is up');
  await steps.connect('alice', 'alice connects: nothing is known of her here, so the portal is asked', {
    connected: true,
    source: 'portal',
    breaker: 'closed',
    portal: 'answers',
  });
  await steps.connect('alice', `alice comes back within ${ttlSeconds} s: answered from the cache`, {
    connected: true,
    source: 'cache',
    breaker: 'closed',
    portal: 'is not asked',
  });
  await steps.connect('carol', 'carol connects: the portal denies her, and says why', {
    connected: false,
    source: 'portal',
    breaker: 'closed',
    portal: 'answers',
    reason: POLICY.users.carol.reason,
  });
}

async function portalIsDown(steps: Steps): Promise<void> {
  const { ttlSeconds, threshold } = RULES;
  steps.scene('The portal is stopped');
  await steps.setPolicy({ ...POLICY, down: true });
  await steps.untilStale('alice', `waiting until what it said of alice is ${ttlSeconds} s old`);

  const inVain = { breaker: 'closed', portal: 'is tried in vain' } as const;
  const known = { connected: true, source: 'stale' } as const;
  const unknown = { connected: false, source: 'fail-close' } as const;
  const asLast = 'alice comes back: let in, as the portal let her in last, though that is stale';
  await steps.connect('alice', asLast, { ...known, ...inVain });
  await steps.connect('bob', 'bob connects, of whom nothing is known here: refused', {
    ...unknown,
    ...inVain,
  });
  await steps.connect('dave', 'dave connects, unknown as well: the breaker has seen enough', {
    ...unknown,
    ...inVain,
  });
  await steps.breakerIs('open', `, after ${threshold} failures in a row`);

  const atOnce = { breaker: 'open', portal: 'is not asked' } as const;
  await steps.connect('erin', 'erin connects, unknown: refused at once, the portal is not tried', {
    ...unknown,
    ...atOnce,
  });
  await steps.connect('alice', 'alice comes back: let in at once', { ...known, ...atOnce });
  steps.compareTimes();
  await steps.eventsWait('what began and ended meanwhile waits to be told to the portal');
}

async function portalIsBack(steps: Steps): Promise<void> {
  const { openSeconds, trials } = RULES;
  steps.scene('The portal is back');
  await steps.setPolicy(POLICY);
  await steps.untilHalfOpen(`waiting until the breaker has been open for ${openSeconds} s`);

  const trial = { connected: true, source: 'portal', breaker: 'half-open', portal: 'answers' } as const;
  await steps.connect('bob', `bob connects: the first of ${trials} trial calls`, trial);
  await steps.breakerIs('half-open');
  await steps.connect('dave', 'dave connects: the second one, and all is well again', trial);
  await steps.breakerIs('closed');
  await steps.everythingIsTold(
    'the portal is told of every session that began and ended, while it was away too',
  );
}
