/** They take our name as text, or ask for it, and do not run us. */
const NO_RUNNERS =
  /^(?:echo|printf|logger|true|false|:|test|\[|\[\[|command|which|type|cat|ls|stat|grep|rm|cp|mv|ln|touch|chmod|chown|mail|kill|pkill|killall|pgrep)$/;

/** A command line of a shell, as far as which commands it runs: these, each in its words, with their quotes. */
function commandsOf(line: string): string[][] {
  const commands: string[][] = [[]];
  for (const [token] of line.matchAll(
    /(?:\d*[<>][<>&|]*\s*)|(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"';&|()<>])+|[;&|()\n]/g,
  )) {
    if (/^[;&|()\n]$/.test(token)) commands.push([]);
    else if (token.startsWith('#')) break;
    else commands.at(-1)?.push(token.trim());
  }
  return commands;
}

/**
 * Whether a command line runs `ocagent-hook [options] maintain`: alone, behind settings of its environment, by a wrapper
 * such as flock or timeout, or within the text that `sh -c` gets.
 */
export function callsMaintain(line: string): boolean {
  return commandsOf(line).some((words) => {
    const runner = words.findIndex((word) => NO_RUNNERS.test(nameIn(word)));
    return words.slice(0, runner === -1 ? undefined : runner).some((word, at) => {
      if (/^-\w*c$/.test(words[at - 1] ?? '')) return callsMaintain(bare(word));
      // A lock may be called like us.
      return nameIn(word) === 'ocagent-hook' && takesMaintain(words.slice(at + 1));
    });
  });
}

/** The first that is no option, and not where the output goes. */
function takesMaintain(args: readonly string[]): boolean {
  for (let at = 0; at < args.length; at++) {
    const arg = bare(args[at] ?? '');
    // Of both the next word is a part.
    if (arg === '--config' || /^\d*[<>]+[&|]?$/.test(arg)) at++;
    else if (!arg.startsWith('-')) return arg === 'maintain';
  }
  return false;
}

function nameIn(word: string): string {
  const path = bare(word);
  return path.slice(path.lastIndexOf('/') + 1);
}

function bare(word: string): string {
  return word.replace(
    /"((?:\\.|[^"\\])*)"|'([^']*)'/g,
    (_all, double?: string, single?: string) => double ?? single ?? '',
  );
}
