/**
 * A UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then 74 random ones. The random part is given, because a
 * hook cannot afford to load node:crypto for it.
 * @param random at least 20 hexadecimal digits.
 */
export function uuidv7(milliseconds: number, random: string): string {
  const time = Math.max(0, Math.floor(milliseconds)).toString(16).padStart(12, '0').slice(-12);
  const variant = (8 | (Number.parseInt(random.charAt(0), 16) & 3)).toString(16);
  const digits = random.toLowerCase();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${digits.slice(1, 4)}-${variant}${digits.slice(4, 7)}-${digits.slice(7, 19)}`;
}
