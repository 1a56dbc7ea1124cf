import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach } from 'node:test';
import { type CertificateFiles, makeCertificates } from '../../scripts/portal/certificates.ts';
import type { PolicyInput } from '../../scripts/portal/policy.ts';
import { type Portal, startPortal } from '../../scripts/portal/portal.ts';
import { Agent } from './agent.ts';

/** What the tests of one `describe` share: a portal that is up at the start of each, and installations that ask it. */
export interface Fixture {
  readonly portal: Portal;
  readonly certificates: CertificateFiles;
  install(config?: string, portal?: string): Promise<Agent>;
}

/** To be called inside a `describe`. The members are there once a test runs. */
export function withPortal(policy: PolicyInput): Fixture {
  let certificates: CertificateFiles | undefined;
  let portal: Portal | undefined;
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('the fixture is there only while a test runs');
    return value;
  };

  before(async () => {
    certificates = await makeCertificates(mkdtempSync(join(tmpdir(), 'ocagent-certs-')));
    portal = await startPortal({ certificates: certificates.directory, policy });
  });
  after(async () => {
    await portal?.close();
    if (certificates !== undefined) rmSync(certificates.directory, { recursive: true });
  });
  beforeEach(async () => {
    await there(portal).start();
    await there(portal).setPolicy(policy);
    there(portal).forget();
  });

  return {
    get portal() {
      return there(portal);
    },
    get certificates() {
      return there(certificates);
    },
    install(config = '', section = '') {
      return Agent.install({
        address: there(portal).address,
        certificates: there(certificates),
        config,
        portal: section,
      });
    },
  };
}
