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
  '__proto__',
  'x'.repeat(63),
  `${'é'.repeat(31)}x`,
];
