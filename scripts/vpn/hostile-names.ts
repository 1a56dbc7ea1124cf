/**
 * User names that ocserv lets through, from a passwords file and from a certificate alike, and that break programs
 * which put a name into a shell command, a path, a query, an option or a log line. 63 bytes is ocserv's limit.
 */
export const HOSTILE_NAMES: readonly string[] = [
  ' leading blank',
  'trailing blank ',
  'tab\tinside',
  `both 'quotes" and \`backticks\``,
  '$(touch /tmp/ocagent-was-here)',
  '; touch /tmp/ocagent-was-here; #',
  '-leading-dash',
  '--help',
  '../../../etc/passwd',
  '* ? [a-z]',
  '& < > | \\ / % %0A = ~',
  '\u001b[31mcolour\u001b[0m',
  'Ωmega ünïcødé 日本',
  'Doe, John + "Jane"',
  '#hash',
  '__proto__',
  'x'.repeat(63),
  `${'é'.repeat(31)}x`,
];

/**
 * A certificate's CN or OU as ocserv's scripts get it: GnuTLS escapes what RFC 4514 (2.4) escapes in a name's text
 * form, and nobody takes that back. The bound of 63 bytes holds for the escaped form.
 */
export function asFromCertificate(name: string): string {
  return name
    .replace(/[,+"\\<>;]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ');
}
