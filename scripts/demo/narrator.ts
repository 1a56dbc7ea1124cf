import { styleText } from 'node:util';

type Colour = Parameters<typeof styleText>[0];

/** Colour on a terminal only, and never with NO_COLOR: `styleText` sees to both. */
export function paint(colour: Colour, text: string): string {
  return styleText(colour, text, { stream: process.stdout });
}

/** Prints the timeline: what is done, and under it what came of it. */
export class Narrator {
  readonly #began = performance.now();

  say(text = ''): void {
    process.stdout.write(`${text}\n`);
  }

  scene(title: string): void {
    this.say(`\n${paint('bold', title)}`);
  }

  step(number: number, title: string): void {
    this.say(`\n${paint('dim', this.#clock())}  ${paint('bold', `${number}.`)} ${title}`);
  }

  /** Something that happens besides the clients' doings. */
  event(text: string): void {
    this.say(`\n${paint('dim', this.#clock())}  ${text}`);
  }

  /** What somebody saw of it: `who` is the client, the hook, … */
  seen(who: string, text: string): void {
    this.say(`${' '.repeat(12)}${paint('dim', who.padEnd(8))}${text}`);
  }

  get seconds(): number {
    return (performance.now() - this.#began) / 1_000;
  }

  #clock(): string {
    return `${this.seconds.toFixed(1)} s`.padStart(7);
  }
}
