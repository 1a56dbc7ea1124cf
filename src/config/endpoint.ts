/** A URL without what it may hold of secrets: its name and password, and what stands behind `?` or `#`. */
export function shownUrl(text: string): string {
  const url = new URL(text);
  const credentials = url.username === '' && url.password === '' ? '' : '***@';
  const more = url.search === '' && url.hash === '' ? '' : '?***';
  return `${url.protocol}//${credentials}${url.host}${url.pathname}${more}`;
}

/** Whether it can be called: http(s), with a name and a password that can be read. */
export function isEndpoint(text: string): boolean {
  if (!/^https?:\/\/[^\s/]+/.test(text) || !URL.canParse(text)) return false;
  try {
    const { username, password } = new URL(text);
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** RFC 9110, 5.1 and 5.5: what HTTP takes as a header. */
export function isHeader(name: string, value: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}
