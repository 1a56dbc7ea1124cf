import { Code, StreamError } from './errors.ts';
import type { Field } from './hpack-table.ts';

/** Lower-case names, `:status` as a number; several values of one name are joined by commas. */
export type Headers = Readonly<Record<string, string | number | undefined>>;

/** RFC 9110, section 5.6.2, without upper case (RFC 9113, section 8.2.1). */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** What no value that we send may hold: control characters, and what is no byte (section 8.2.1; RFC 9110, section 5.5). */
const NEVER_SENT = /[^\t\x20-\x7e\x80-\xff]/;

/** It means nothing (RFC 9110, section 5.5). Not trim(): to JavaScript 0xa0 is space, too, which ends many a letter in UTF-8. */
const SPACE_AROUND = /^[\t ]+|(?<![\t ])[\t ]+$/g;

/** What makes an answer malformed (section 8.2.1). Less than we keep to ourselves: what harms nobody must not lose an answer. */
const NEVER_TAKEN = /[\0\n\r]/;

/** They speak of a connection of HTTP/1 (section 8.2.2). */
const OF_HTTP1: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

const SINGLE: ReadonlySet<string> = new Set(['content-type', 'date']);

const OF_REQUESTS: readonly string[] = [':method', ':scheme', ':authority', ':path'];

/**
 * What a request says, in the order that HTTP/2 wants: what makes it one comes first (section 8.3).
 * @throws where it cannot be said.
 */
export function fieldsOf(headers: Readonly<Record<string, string>>): Field[] {
  const fields: Field[] = [];
  for (const name of OF_REQUESTS) {
    const value = headers[name];
    if (value !== undefined) fields.push([name, value]);
  }
  for (const [name, value] of Object.entries(headers)) {
    if (OF_REQUESTS.includes(name)) continue;
    if (!NAME.test(name) || OF_HTTP1.has(name))
      throw new TypeError(`a request has no header ${JSON.stringify(name)}`);
    // It must not be sent.
    fields.push([name, value.replace(SPACE_AROUND, '')]);
  }
  for (const [name, value] of fields) {
    if (NEVER_SENT.test(value))
      throw new TypeError(`the header ${name} cannot hold ${JSON.stringify(value)}`);
  }
  return fields;
}

/**
 * What an answer says. A `content-length` is not compared with what comes: gRPC's messages say their own length.
 * @param isTrailer it comes after the message.
 * @throws StreamError where it is malformed (section 8.1.1).
 */
export function headersOf(fields: readonly Field[], isTrailer: boolean): Headers {
  // Without a prototype, whose names are no headers.
  const headers: Record<string, string | number> = Object.create(null);
  let isRegular = isTrailer;
  for (const [name, value] of fields) {
    if (NEVER_TAKEN.test(value)) throw malformed(`a value that ${JSON.stringify(name)} cannot have`);
    if (name === ':status' && !isRegular && headers[name] === undefined && /^[1-9]\d\d$/.test(value)) {
      headers[name] = Number(value);
      continue;
    }
    if (!NAME.test(name) || OF_HTTP1.has(name))
      throw malformed(`a header ${JSON.stringify(name)} in its place`);
    isRegular = true;
    const before = headers[name];
    // A `grpc-message` may well end with a space, which strictly is malformed (section 8.2.1): it is taken, without it.
    const bare = value.replace(SPACE_AROUND, '');
    if (before === undefined) headers[name] = bare;
    // Of what can have one value only, as Node's HTTP takes it: some proxies add theirs.
    else if (!SINGLE.has(name)) headers[name] = `${before}, ${bare}`;
  }
  if (!isTrailer && headers[':status'] === undefined) throw malformed('no :status');
  return headers;
}

function malformed(what: string): StreamError {
  return new StreamError(Code.PROTOCOL_ERROR, `an answer with ${what}`);
}
