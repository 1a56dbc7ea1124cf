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

/** A portal's certificates and an agent's, without a portal. To be called at the top of a file or of a `describe`; there once a test runs. */
export function withCertificates(): () => CertificateFiles {
  let files: CertificateFiles | undefined;
  before(async () => {
    files = await makeCertificates(mkdtempSync(join(tmpdir(), 'ocagent-certs-')));
  });
  after(() => {
    if (files !== undefined) rmSync(files.directory, { recursive: true });
  });
  return () => there(files);
}

/** To be called inside a `describe`. The members are there once a test runs. */
export function withPortal(policy: PolicyInput): Fixture {
  let portal: Portal | undefined;
  const certificates = withCertificates();
  before(async () => {
    portal = await startPortal({ certificates: certificates().directory, policy });
  });
  after(() => portal?.close());
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
      return certificates();
    },
    install(config = '', section = '') {
      return Agent.install({
        address: there(portal).address,
        certificates: certificates(),
        config,
        portal: section,
      });
    },
  };
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the fixture is there only while a test runs');
  return value;
}
