/**
 * What `occtl -j` prints, as JSON. Some versions leave a comma before a closing bracket (1.1.6), or control characters
 * in a text; both are mended, outside and inside of texts, and nothing else is guessed.
 * @throws {SyntaxError} when it is not JSON even so.
 */
export function parseOcctl(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return JSON.parse(mend(text));
  }
}

/** A text, or a comma with the closing bracket after it. Texts are matched whole, so that nothing in them is taken for more. */
const TEXT_OR_COMMA = /"(?:[^"\\]|\\[\s\S])*"|,(?=\s*[\]}])/g;

function mend(text: string): string {
  return text.replace(TEXT_OR_COMMA, (found) =>
    found === ','
      ? ''
      : // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        found.replace(/[\u0000-\u001f]/g, (control) => JSON.stringify(control).slice(1, -1)),
  );
}
