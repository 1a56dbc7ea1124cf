import type { Config } from '../config/schema.ts';

/** Shorter than that nothing is a secret, and striking it would leave no text. */
const SHORTEST = 3;

/** What a server that repeats what it was sent could bring out: header values and their words, name and password, the query. */
function secretsOf({ endpoint, headers }: Config['telemetry']): string[] {
  const url = new URL(endpoint);
  const given = [url.username, url.password].flatMap((part) => [part, decodeURIComponent(part)]);
  const basic = Buffer.from(
    `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`,
  ).toString('base64');
  const values = Object.values(headers).flatMap((value) => [
    value,
    ...value.split(/[\s,;]+/),
    ...value.split(/[\s,;="']+/),
  ]);
  // The name of a scheme is no secret, and says what was wrong with it.
  const words = values.filter((value) => !/^(basic|bearer|digest|token|apikey)$/i.test(value));
  const decoded = words.flatMap((word) => {
    const text = Buffer.from(word, 'base64').toString();
    return /^[\x20-\x7e]*:[\x20-\x7e]*$/.test(text) ? [text, text.slice(text.indexOf(':') + 1)] : [];
  });
  const query = [url.search, url.hash, ...url.searchParams.values()];
  const all = [...given, basic, ...words, ...decoded, ...query, url.search.slice(1), url.hash.slice(1)];
  const written = all.flatMap((secret) => [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
  ]);
  // The longest first, for a part of it may be one as well.
  return [...new Set(written)].filter(({ length }) => length >= SHORTEST).sort((a, b) => b.length - a.length);
}

/** Strikes the secrets of [telemetry] from a text; from one that was cut also its end, which may hold the beginning of one. */
export function withoutSecrets(telemetry: Config['telemetry']): (text: string, isWhole: boolean) => string {
  const secrets = secretsOf(telemetry);
  const longest = secrets[0]?.length ?? 0;
  return (text, isWhole) => {
    const struck = secrets.reduce((left, secret) => left.replaceAll(secret, '***'), text);
    return isWhole ? struck : struck.slice(0, Math.max(0, struck.length - longest));
  };
}
