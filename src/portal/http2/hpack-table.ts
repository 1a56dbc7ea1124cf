export type Field = readonly [name: string, value: string];

/** RFC 7541, appendix A: fields that both sides know, numbered from 1; a name, and after `=` its value where there is one. */
const KNOWN =
  ':authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200 :status=204 :status=206 ' +
  ':status=304 :status=400 :status=404 :status=500 accept-charset accept-encoding=gzip,_deflate accept-language accept-ranges accept ' +
  'access-control-allow-origin age allow authorization cache-control content-disposition content-encoding content-language ' +
  'content-length content-location content-range content-type cookie date etag expect expires from host if-match if-modified-since ' +
  'if-none-match if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range ' +
  'referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate';

export const STATIC: readonly Field[] = KNOWN.split(' ').map((known) => {
  const [name = '', value = ''] = known.split('=');
  return [name, value.replace('_', ' ')];
});

/** What each side may remember of the other's fields, until it says something else (RFC 9113, section 6.5.2). We never do. */
export const MAX_TABLE_BYTES = 4_096;

/** Section 4.1. */
export function sizeOf([name, value]: Field): number {
  return name.length + value.length + 32;
}

/** The fields that the other side wants remembered, the newest first (RFC 7541, sections 2.3.2 and 4). */
export class DynamicTable {
  readonly #fields: Field[] = [];
  #bytes = 0;
  #most = MAX_TABLE_BYTES;

  /** @param index from 0, the newest. */
  at(index: number): Field | undefined {
    return this.#fields[index];
  }

  /** One that is larger than the table empties it, which is no error (section 4.4). */
  add(field: Field): void {
    this.#fields.unshift(field);
    this.#bytes += sizeOf(field);
    this.#evict();
  }

  resize(most: number): void {
    this.#most = most;
    this.#evict();
  }

  #evict(): void {
    while (this.#bytes > this.#most) {
      const oldest = this.#fields.pop();
      if (oldest === undefined) return;
      this.#bytes -= sizeOf(oldest);
    }
  }
}
