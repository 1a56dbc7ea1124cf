import { OUR_WINDOW } from './settings.ts';

/**
 * How much the other side may send, of one call or of all (RFC 9113, section 6.9). What came is dealt with at once, so all of it is given back,
 * padding too; and seldom, because half a window is enough for any answer. Nobody looks whether the other side keeps to it: memory is
 * bounded by what an answer may be, not by the window.
 */
export class ReceiveWindow {
  #owed = 0;

  /** @returns what is to be given back by now. */
  take(bytes: number): number {
    this.#owed += bytes;
    if (this.#owed < OUR_WINDOW / 2) return 0;
    const owed = this.#owed;
    this.#owed = 0;
    return owed;
  }
}
