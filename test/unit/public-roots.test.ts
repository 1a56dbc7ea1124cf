import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';

const PUBLIC_ROOTS = join(import.meta.dirname, '..', '..', 'src', 'tls', 'public-roots.ts');

test('the public certificate authorities are Node’s own, also where the launcher keeps Node from reading them', () => {
  const script = `import { publicRoots } from ${JSON.stringify(PUBLIC_ROOTS)}; console.log(JSON.stringify(publicRoots()))`;
  const roots = execFileSync(
    process.execPath,
    ['--use-openssl-ca', '--input-type=module', '--eval', script],
    {
      env: { SSL_CERT_FILE: '/dev/null', SSL_CERT_DIR: '/dev/null' },
      encoding: 'utf8',
    },
  );
  assert.deepEqual(JSON.parse(roots), rootCertificates);
  assert.ok(rootCertificates.length > 50);
});
